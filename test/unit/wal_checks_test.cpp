#include "checks_fixture.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook;
using namespace opsrunbook::test;

namespace {

constexpr int64_t gigabyte = int64_t{1} << 30;

Observations checkpointing(int64_t timed, int64_t requested, double hours, double wal_gb)
{
    Observations seen = healthy();
    seen.server.checkpoints->timed = timed;
    seen.server.checkpoints->requested = requested;
    seen.server.checkpoints->since_reset_seconds = hours * 3600;
    seen.server.wal->bytes_since_reset = static_cast<int64_t>(wal_gb * static_cast<double>(gigabyte));
    seen.server.wal->since_reset_seconds = hours * 3600;
    return seen;
}

TEST(Checkpoints, ForcedByWal)
{
    struct Case {
        int64_t timed, requested;
        double hours, wal_gb;
        Status expected;
    };
    const Case cases[] = {
        {0, 0, 100, 0, Status::ok},
        {80, 20, 24, 20, Status::ok},         // at the threshold
        {75, 25, 24, 20, Status::warning},    //
        {40, 60, 24, 60, Status::critical},   //
        {0, 9, 24, 9, Status::ok},            // too few
        {0, 60, 0.5, 60, Status::ok},         // too short
        {40, 60, 24, 1, Status::ok},          // by CHECKPOINT commands: hardly any WAL
        {8640, 500, 24 * 30, 500, Status::ok} // 5 %
    };
    for (const Case &c : cases)
        EXPECT_EQ(status("checkpoints", checkpointing(c.timed, c.requested, c.hours, c.wal_gb)), c.expected)
            << c.timed << " " << c.requested << " " << c.hours << " " << c.wal_gb;
}

TEST(Checkpoints, ProposesRoomForTheRate)
{
    // 36 GB an hour: 3 GB in a checkpoint_timeout
    const Finding finding = worst("checkpoints", checkpointing(0, 60, 1, 36));
    EXPECT_EQ(finding.fix, "ALTER SYSTEM SET max_wal_size = '12GB'; SELECT pg_reload_conf();");
    EXPECT_EQ(finding.undo, "ALTER SYSTEM RESET max_wal_size; SELECT pg_reload_conf();");
    Observations unknown_rate = checkpointing(0, 60, 1, 0);
    unknown_rate.server.wal->bytes_since_reset.reset();
    EXPECT_EQ(worst("checkpoints", unknown_rate).fix,
              "ALTER SYSTEM SET max_wal_size = '2GB'; SELECT pg_reload_conf();");
}

TEST(CheckpointAge, IdleServersNeedNone)
{
    Observations seen = healthy();
    seen.server.checkpoints->since_redo_seconds = 86400 * 30;
    seen.server.checkpoints->wal_since_redo_bytes = 1 << 20;
    EXPECT_EQ(status("checkpoint_age", seen), Status::ok);
    seen.server.checkpoints->wal_since_redo_bytes = 100 << 20;
    EXPECT_EQ(status("checkpoint_age", seen), Status::critical);
    seen.server.checkpoints->since_redo_seconds = 570; // the longest that spread checkpoints make it
    EXPECT_EQ(status("checkpoint_age", seen), Status::ok);
    seen.server.checkpoints->since_redo_seconds = 1900;
    EXPECT_EQ(status("checkpoint_age", seen), Status::warning);
    seen.server.checkpoints->since_redo_seconds = 10; // clears with a CHECKPOINT
    EXPECT_EQ(status("checkpoint_age", seen), Status::ok);
    seen.server.checkpoints->since_redo_seconds = 1900;
    set(seen, "checkpoint_timeout", "3600");
    EXPECT_EQ(status("checkpoint_age", seen), Status::ok);
}

// Timed checkpoints are skipped while nothing happens, so the last one is as old as the idle time.
TEST(CheckpointAge, AnIdleServerThatWakesUp)
{
    Observations seen = healthy();
    observed::Checkpoints &checkpoints = *seen.server.checkpoints;
    checkpoints.since_redo_seconds = 86400 * 30;
    checkpoints.wal_since_redo_bytes = 20 << 20;
    checkpoints.since_redo_file_seconds = 60;
    EXPECT_EQ(status("checkpoint_age", seen), Status::ok);
    checkpoints.wal_since_redo_bytes = int64_t{3} << 30; // however fast
    EXPECT_EQ(status("checkpoint_age", seen), Status::ok);
    checkpoints.since_redo_file_seconds = 1900; // six checkpoint_timeouts were time enough
    EXPECT_EQ(status("checkpoint_age", seen), Status::warning);
    checkpoints.since_redo_file_seconds = 86400 * 60; // a file that was recycled and not written since
    EXPECT_EQ(worst("checkpoint_age", seen).value, 86400 * 30 / 300);
    set(seen, "wal_segment_size", "67108864");
    checkpoints.wal_since_redo_bytes = 60 << 20; // still in the same file
    EXPECT_EQ(status("checkpoint_age", seen), Status::ok);
}

TEST(BackendWrites, RateNotLifetime)
{
    Observations seen = healthy();
    seen.server.checkpoints->backends_since_reset_seconds = 3600 * 24;
    seen.server.checkpoints->fsyncs_by_backends = 3; // in a day
    EXPECT_EQ(status("backend_writes", seen), Status::ok);
    seen.server.checkpoints->fsyncs_by_backends = 48;
    EXPECT_EQ(status("backend_writes", seen), Status::warning);
    seen.server.checkpoints->backends_since_reset_seconds = 3600 * 24 * 30; // clears when it stops
    EXPECT_EQ(status("backend_writes", seen), Status::ok);
    seen.server.checkpoints->backends_since_reset_seconds = 3600 * 24;
    seen.server.version = 170004; // there the counter contains index builds
    EXPECT_EQ(status("backend_writes", seen), Status::ok);
    EXPECT_FALSE(run("backend_writes", seen).scored);
    seen.server.checkpoints->fsyncs_by_backends = 3; // few are few
    EXPECT_EQ(status("backend_writes", seen), Status::ok);
    EXPECT_TRUE(run("backend_writes", seen).scored);
}

TEST(WalBuffersFull, SustainedOnly)
{
    Observations seen = healthy();
    seen.server.wal->buffers_full = 100000;
    seen.server.wal->since_reset_seconds = 60; // a restore just now
    EXPECT_EQ(status("wal_buffers_full", seen), Status::ok);
    seen.server.wal->since_reset_seconds = 3600;
    EXPECT_EQ(status("wal_buffers_full", seen), Status::warning);
    // clears when it does not go on
    seen.server.wal->since_reset_seconds = 86400;
    EXPECT_EQ(status("wal_buffers_full", seen), Status::ok);
}

TEST(WalDirectory, BeyondWhatSettingsExplain)
{
    Observations seen = healthy();
    seen.server.wal->directory_bytes = 2 * gigabyte;
    EXPECT_EQ(status("wal_directory", seen), Status::ok); // at the threshold
    seen.server.wal->directory_bytes = 3 * gigabyte;
    EXPECT_EQ(status("wal_directory", seen), Status::warning);
    set(seen, "wal_keep_size", "2048");
    EXPECT_EQ(status("wal_directory", seen), Status::ok);
    // wal_directory: whose fault it is
    set(seen, "wal_keep_size", "0");
    observed::Slot slot;
    slot.name = "s";
    slot.retained_bytes = 3 * gigabyte;
    seen.server.slots = {slot};
    EXPECT_EQ(worst("wal_directory", seen).fix, "SELECT pg_drop_replication_slot('s');");
    // clears when the slot is gone and a checkpoint came by
    seen.server.slots.clear();
    seen.server.wal->directory_bytes = gigabyte;
    EXPECT_EQ(status("wal_directory", seen), Status::ok);
    seen.server.wal->directory_bytes = 3 * gigabyte;
    seen.server.archiver->on = true;
    seen.server.archiver->ready_files = 192;
    EXPECT_NE(worst("wal_directory", seen).cause.find("archiver"), std::string::npos);
    set(seen, "max_wal_size", "32"); // small limits are passed by any burst
    seen.server.wal->directory_bytes = 200 << 20;
    EXPECT_EQ(status("wal_directory", seen), Status::ok);
}

TEST(WalDirectory, NotReadableIsUnknown)
{
    Observations seen = healthy();
    seen.server.wal->directory_bytes.reset();
    seen.server.unseen["WAL directory"] = "permission denied for function pg_ls_waldir";
    EXPECT_EQ(status("wal_directory", seen), Status::unknown);
}

Observations archiving()
{
    Observations seen = healthy();
    set(seen, "archive_mode", "on");
    observed::Archiver archiver;
    archiver.on = true;
    archiver.command_or_library = "cp %p /archive/%f";
    archiver.archived = 100;
    archiver.since_last_archived = 60;
    archiver.ready_files = 0;
    seen.server.archiver = archiver;
    return seen;
}

TEST(Archiving, Healthy)
{
    EXPECT_EQ(status("archiving", healthy()), Status::ok); // off is a choice
    EXPECT_EQ(status("archiving", archiving()), Status::ok);
    Observations seen = archiving();
    seen.server.archiver->since_last_archived = 86400; // nothing to archive since
    seen.server.archiver->since_last_failed = 90000;
    EXPECT_EQ(status("archiving", seen), Status::ok);
    seen.server.archiver->archived = 0; // on, and no segment is finished yet
    seen.server.archiver->since_last_archived.reset();
    seen.server.archiver->since_last_failed.reset();
    EXPECT_EQ(status("archiving", seen), Status::ok);
}

TEST(BaseBackupAge, ByTheNewestOrTheCluster)
{
    constexpr double hour = 3600;
    EXPECT_FALSE(run("base_backup_age", healthy()).scored); // archiving is off: nothing to judge
    Observations seen = archiving();
    struct Case {
        std::optional<double> since_last;
        double cluster_age;
        Status expected;
    };
    const Case cases[] = {
        {26 * hour, 900 * hour, Status::ok},         {26.1 * hour, 900 * hour, Status::warning},
        {48 * hour, 900 * hour, Status::warning},    {48.1 * hour, 900 * hour, Status::critical},
        {std::nullopt, 26 * hour, Status::ok},       {std::nullopt, 26.1 * hour, Status::warning},
        {std::nullopt, 900 * hour, Status::warning}, // a backup of a standby is not on record
    };
    for (const Case &c : cases) {
        seen.server.base_backups = observed::BaseBackups{c.since_last, c.cluster_age};
        EXPECT_EQ(status("base_backup_age", seen), c.expected)
            << c.since_last.value_or(-1) / hour << " " << c.cluster_age / hour;
        EXPECT_TRUE(run("base_backup_age", seen).scored);
    }
    seen.server.unseen["base backups"] = "permission denied";
    EXPECT_EQ(status("base_backup_age", seen), Status::unknown);
    seen.server.in_recovery = true;
    EXPECT_FALSE(run("base_backup_age", seen).scored);
}

TEST(Archiving, GoesNowhere)
{
    Observations seen = archiving();
    seen.server.archiver->command_or_library.clear();
    EXPECT_EQ(status("archiving", seen), Status::critical);
}

TEST(Archiving, NeverWorked)
{
    Observations seen = archiving();
    seen.server.archiver->archived = 0;
    seen.server.archiver->since_last_archived.reset();
    seen.server.archiver->failed = 3;
    seen.server.archiver->since_last_failed = 1;
    seen.server.archiver->ready_files = 1;
    seen.server.archiver->oldest_ready_seconds = 5;
    EXPECT_EQ(status("archiving", seen), Status::warning);
    seen.server.archiver->oldest_ready_seconds = 3600;
    EXPECT_EQ(status("archiving", seen), Status::critical);
    // … and without a failure counted: segments wait, nothing happens
    seen.server.archiver->failed = 0;
    seen.server.archiver->since_last_failed.reset();
    EXPECT_EQ(status("archiving", seen), Status::critical);
}

TEST(Archiving, FailingForLongerThanTheThreshold)
{
    Observations seen = archiving();
    seen.server.archiver->failed = 3;
    seen.server.archiver->since_last_failed = 1;
    seen.server.archiver->since_last_archived = 7200; // a quiet hour, then a segment just now
    seen.server.archiver->ready_files = 1;
    seen.server.archiver->oldest_ready_seconds = 20;
    EXPECT_EQ(status("archiving", seen), Status::ok);
    seen.server.archiver->oldest_ready_seconds = 301;
    EXPECT_EQ(status("archiving", seen), Status::warning);
    seen.server.archiver->oldest_ready_seconds = 1801;
    EXPECT_EQ(status("archiving", seen), Status::critical);
}

TEST(Archiving, WithoutTheDirectory)
{
    Observations seen = archiving();
    seen.server.archiver->ready_files.reset();
    EXPECT_EQ(status("archiving", seen), Status::unknown); // not "OK"
    seen.server.archiver->failed = 1;
    seen.server.archiver->since_last_failed = 1;
    seen.server.archiver->since_last_archived = 400;
    EXPECT_EQ(status("archiving", seen), Status::warning);
    EXPECT_EQ(status("archive_backlog", seen), Status::unknown);
}

TEST(ArchiveBacklog, Edges)
{
    Observations seen = archiving();
    for (const auto &[files, expected] : std::vector<std::pair<int64_t, Status>>{{0, Status::ok},
                                                                                 {10, Status::ok},
                                                                                 {11, Status::warning},
                                                                                 {20, Status::warning},
                                                                                 {21, Status::critical}}) {
        seen.server.archiver->ready_files = files;
        EXPECT_EQ(status("archive_backlog", seen), expected) << files;
    }
}

} // namespace
