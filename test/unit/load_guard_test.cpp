#include "maintenance/load_guard.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook::maintenance;

namespace {

constexpr uint32_t sessions = 1, waiters = 2, lag = 4, archive = 8;

LoadLimits limits()
{
    LoadLimits out;
    out.active_sessions = 10;
    out.lock_waiters = 5;
    out.replication_lag_bytes = 100 * 1024 * 1024;
    out.wal_files_to_archive = 50;
    return out;
}

} // namespace

TEST(LoadGuard, PausesAboveTheLimitAndResumesAtFourFifths)
{
    struct Case {
        double active;
        uint32_t paused_by;
        bool go;
        const char *reason;
    };
    const char *const calm = "load within its limits";
    for (const Case &one : {
             Case{0, 0, true, calm}, Case{10, 0, true, calm}, // at the limit is not above it
             Case{11, 0, false, "paused: 11 active sessions, limit 10"},
             Case{11, sessions, false, "paused: 11 active sessions, limit 10"},
             Case{10, sessions, false, "paused: 10 active sessions, goes on at 8"},
             Case{9, sessions, false, "paused: 9 active sessions, goes on at 8"}, Case{9, 0, true, calm},
             Case{8, sessions, true, calm},
             Case{9, lag, true, calm}, // another reading's pause does not lower this one's limit
         }) {
        Load load;
        load.active_sessions = one.active;
        const LoadDecision decision = judge_load(load, limits(), one.paused_by);
        EXPECT_EQ(decision.go, one.go) << one.active << " " << one.paused_by;
        EXPECT_EQ(decision.paused_by, one.go ? 0 : sessions);
        EXPECT_EQ(decision.reason, one.reason);
    }
}

TEST(LoadGuard, EachReadingPauses)
{
    Load load;
    load.lock_waiters = 6;
    EXPECT_EQ(judge_load(load, limits(), 0).reason, "paused: 6 sessions waiting for a lock, limit 5");
    EXPECT_EQ(judge_load(load, limits(), 0).paused_by, waiters);
    load = {};
    load.replication_lag_bytes = 200 * 1024 * 1024;
    EXPECT_EQ(judge_load(load, limits(), 0).reason, "paused: 200 MB of replication lag, limit 100 MB");
    EXPECT_EQ(judge_load(load, limits(), 0).paused_by, lag);
    load = {};
    load.wal_files_to_archive = 51;
    EXPECT_EQ(judge_load(load, limits(), 0).reason, "paused: 51 WAL files to archive, limit 50");
    EXPECT_EQ(judge_load(load, limits(), 0).paused_by, archive);
}

TEST(LoadGuard, SeveralAtOnceAreReleasedOneByOne)
{
    Load load;
    load.active_sessions = 20;
    load.wal_files_to_archive = 90;
    LoadDecision decision = judge_load(load, limits(), 0);
    EXPECT_EQ(decision.paused_by, sessions | archive);
    EXPECT_EQ(decision.reason, "paused: 20 active sessions, limit 10; 90 WAL files to archive, limit 50");
    load.active_sessions = 2;
    load.wal_files_to_archive = 45;
    decision = judge_load(load, limits(), decision.paused_by);
    EXPECT_EQ(decision.reason, "paused: 45 WAL files to archive, goes on at 40");
    load.active_sessions = 9; // no longer held by the sessions
    load.wal_files_to_archive = 40;
    decision = judge_load(load, limits(), decision.paused_by);
    EXPECT_TRUE(decision.go);
}

TEST(LoadGuard, UnknownReadingsAndMissingLimitsNeverPause)
{
    EXPECT_TRUE(judge_load({}, limits(), sessions | waiters | lag | archive).go);
    Load load;
    load.active_sessions = load.lock_waiters = load.replication_lag_bytes = load.wal_files_to_archive = 1e12;
    EXPECT_TRUE(judge_load(load, {}, sessions | waiters | lag | archive).go);
    LoadLimits nothing_allowed;
    nothing_allowed.active_sessions = 0;
    EXPECT_FALSE(judge_load(load, nothing_allowed, 0).go);
    load.active_sessions = 0;
    EXPECT_TRUE(judge_load(load, nothing_allowed, sessions).go);
}

TEST(LoadGuard, LimitOfActiveSessions)
{
    EXPECT_EQ(active_session_limit(12, 4), 12);
    EXPECT_EQ(active_session_limit(0, 4), 16);
    EXPECT_EQ(active_session_limit(-1, 0), 4);
}
