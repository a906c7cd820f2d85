#include <gtest/gtest.h>

#include "health/checks/checks.hpp"
#include "health/lock_tree.hpp"

using namespace opsrunbook;
using namespace opsrunbook::health;
using observed::Session;

namespace {

Session session(int pid, base::Value::Integers blocked_by = {}, double wait_seconds = 0)
{
    Session made;
    made.pid = pid;
    made.user = "app";
    made.kind = "client backend";
    made.state = "active";
    made.query_seconds = wait_seconds;
    if (!blocked_by.empty()) {
        made.wait_seconds = wait_seconds;
        made.waits_for = "public.t";
        made.wait_mode = "AccessExclusiveLock";
    }
    made.blocked_by = std::move(blocked_by);
    return made;
}

Outcome judge(const Observations &seen, const char *id)
{
    return evaluate(seen, Thresholds(), {id}).at(0);
}

Observations with(std::vector<Session> sessions)
{
    Observations seen;
    seen.server.sessions = std::move(sessions);
    return seen;
}

// "root: pid@depth<blocker ..." of each tree
std::string drawn(const std::vector<Session> &sessions)
{
    std::string text;
    for (const LockTree &tree : lock_trees(sessions)) {
        text += (text.empty() ? "" : "; ") + std::to_string(tree.root) + ":";
        for (const LockWait &wait : tree.waits)
            text += base::format(" %d@%d<%d", wait.session->pid, wait.depth, wait.blocker);
    }
    return text;
}

TEST(LockTrees, Shapes)
{
    EXPECT_EQ(drawn({}), "");
    EXPECT_EQ(drawn({session(1), session(2)}), "");
    EXPECT_EQ(drawn({session(1), session(2, {1})}), "1: 2@1<1");
    EXPECT_EQ(drawn({session(1), session(2, {1}), session(3, {2})}), "1: 2@1<1 3@2<2");
    EXPECT_EQ(drawn({session(1), session(2, {1}), session(3, {2, 1})}), "1: 2@1<1 3@1<1");
    EXPECT_EQ(drawn({session(1), session(2), session(3, {2}), session(4, {1}), session(5, {2})}),
              "2: 3@1<2 5@1<2; 1: 4@1<1");
}

TEST(LockTrees, BehindTwoRootsStandsBelowBoth)
{
    EXPECT_EQ(drawn({session(1), session(2), session(3, {1, 2})}), "1: 3@1<1; 2: 3@1<2");
}

TEST(LockTrees, TheServerNamesABlockerAsOftenAsItsParallelWorkersBlock)
{
    EXPECT_EQ(drawn({session(1), session(2, {1, 1, 1})}), "1: 2@1<1");
}

TEST(LockTrees, RootsThatAreNoSessionInView)
{
    EXPECT_EQ(drawn({session(2, {0})}), "0: 2@1<0"); // a prepared transaction
    EXPECT_EQ(drawn({session(2, {99})}), "99: 2@1<99");
    EXPECT_EQ(lock_trees({session(2, {99})}).at(0).session, nullptr);
}

TEST(LockTrees, ACircleEndsAndIsShown)
{
    EXPECT_EQ(drawn({session(1, {2}), session(2, {1})}), "1: 2@1<1");
    EXPECT_EQ(drawn({session(1, {2}), session(2, {1}), session(3, {1})}), "1: 2@1<1 3@1<1");
}

TEST(BlockedSessions, SecondsOfTheLongestWait)
{
    EXPECT_EQ(judge(with({session(1), session(2, {1}, 30)}), "blocked_sessions").status, Status::ok);
    EXPECT_EQ(judge(with({session(1), session(2, {1}, 31)}), "blocked_sessions").status, Status::warning);
    EXPECT_EQ(judge(with({session(1), session(2, {1}, 31), session(3, {2}, 301)}), "blocked_sessions").status,
              Status::critical);
}

TEST(BlockedSessions, OneFindingForEachRootWithItsRemedy)
{
    Session idle = session(1);
    idle.state = "idle in transaction";
    idle.state_seconds = 200;
    const Outcome outcome =
        judge(with({idle, session(2, {1}, 100), session(3, {2}, 50), session(4), session(5, {4}, 400)}),
              "blocked_sessions");
    ASSERT_EQ(outcome.findings.size(), 2u);
    EXPECT_EQ(outcome.findings[0].object, "pid 4");
    EXPECT_EQ(outcome.findings[0].fix, "SELECT pg_cancel_backend(4);");
    EXPECT_EQ(outcome.findings[1].fix, "SELECT pg_terminate_backend(1);");
    EXPECT_NE(outcome.findings[1].message.find("holds up 2 sessions"), std::string::npos);
    EXPECT_EQ(outcome.findings[1].cause,
              "pid 1 (app) -> pid 2 (app) waits for AccessExclusiveLock on public.t -> "
              "pid 3 (app) waits for AccessExclusiveLock on public.t");
}

TEST(BlockedSessions, BehindAPreparedTransaction)
{
    Observations seen = with({session(2, {0}, 60)});
    seen.server.prepared = {{"left", "app", "d", 60, 1}};
    EXPECT_EQ(judge(seen, "blocked_sessions").findings.at(0).fix, "ROLLBACK PREPARED 'left';");
    seen.server.prepared.push_back({"other", "app", "d", 60, 1});
    EXPECT_NE(judge(seen, "blocked_sessions").findings.at(0).fix.find("pg_prepared_xacts"),
              std::string::npos);
}

TEST(AutovacuumBlocked, OnlyAWorkerThatWaitsForLong)
{
    Session worker = session(2, {1}, 4 * 60);
    EXPECT_EQ(judge(with({session(1), worker}), "autovacuum_blocked").status, Status::ok);
    worker.wait_seconds = 6 * 60;
    EXPECT_EQ(judge(with({session(1), worker}), "autovacuum_blocked").status, Status::ok); // a client
    worker.kind = "autovacuum worker";
    const Outcome outcome = judge(with({session(1), worker}), "autovacuum_blocked");
    EXPECT_EQ(outcome.status, Status::warning);
    EXPECT_EQ(outcome.findings.at(0).fix, "SELECT pg_terminate_backend(1);");
    worker.wait_seconds = 61 * 60;
    EXPECT_EQ(judge(with({session(1), worker}), "autovacuum_blocked").status, Status::critical);
    // clears when the session that holds the lock is gone
    worker.blocked_by.clear();
    EXPECT_EQ(judge(with({worker}), "autovacuum_blocked").status, Status::ok);
}

} // namespace
