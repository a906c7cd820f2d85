#include "checks_fixture.hpp"

#include "health/checks/synchronous_names.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook;
using namespace opsrunbook::test;

namespace {

constexpr int64_t gigabyte = int64_t{1} << 30;

observed::Slot slot(const char *name, bool active, int64_t retained, const char *wal_status = "reserved")
{
    observed::Slot out;
    out.name = name;
    out.kind = "physical";
    out.active = active;
    out.retained_bytes = retained;
    out.wal_status = wal_status;
    return out;
}

observed::Standby standby(const char *name, const char *state = "streaming", int64_t lag = 0)
{
    observed::Standby out;
    out.name = name;
    out.state = state;
    out.lag_bytes = lag;
    return out;
}

TEST(SynchronousNames, ReadsWhatTheServerReads)
{
    struct Case {
        const char *text;
        bool any;
        int required;
        std::vector<std::string> names;
    };
    const Case cases[] = {
        {"", false, 0, {}},
        {"  ", false, 0, {}},
        {"s1", false, 1, {"s1"}},
        {"s1, s2", false, 1, {"s1", "s2"}},
        {"*", false, 1, {"*"}},
        {"2 (s1, s2, s3)", false, 2, {"s1", "s2", "s3"}},
        {"FIRST 2 (s1,s2)", false, 2, {"s1", "s2"}},
        {"first 1 (*)", false, 1, {"*"}},
        {"ANY 2 (a, \"b c\", \"d\"\"e\")", true, 2, {"a", "b c", "d\"e"}},
        {"any\n1\t(a)", true, 1, {"a"}},
        {"\"first\", any1", false, 1, {"first", "any1"}},
        {"1, 2", false, 1, {"1", "2"}}, // names may be numbers
        {"1", false, 1, {"1"}},
        {"a$1_b, _x", false, 1, {"a$1_b", "_x"}},
        {"3(a,b)", false, 3, {"a", "b"}}, // more than there are: allowed, and never satisfied
    };
    for (const Case &expected : cases) {
        const auto parsed = health::parse_synchronous_names(expected.text);
        ASSERT_TRUE(parsed) << expected.text;
        EXPECT_EQ(parsed->any, expected.any) << expected.text;
        EXPECT_EQ(parsed->required, expected.required) << expected.text;
        EXPECT_EQ(parsed->names, expected.names) << expected.text;
    }
    for (const char *malformed :
         {"FIRST", "ANY (a)", "FIRST 1", "2 (a", "a,", "a b", "\"a", "(a)", "a;b", "2 (a) b"})
        EXPECT_FALSE(health::parse_synchronous_names(malformed)) << malformed;
}

TEST(SynchronousNames, LetterCaseDoesNotCount)
{
    const auto parsed = health::parse_synchronous_names("Paris, \"New York\"");
    EXPECT_TRUE(parsed->names_standby("paris"));
    EXPECT_TRUE(parsed->names_standby("NEW YORK"));
    EXPECT_FALSE(parsed->names_standby("pari"));
    EXPECT_TRUE(health::parse_synchronous_names("*")->names_standby("anything"));
}

TEST(SynchronousStandbys, FewerThanRequiredIsLethal)
{
    Observations seen = healthy();
    EXPECT_EQ(status("synchronous_standbys", seen), Status::ok);
    set(seen, "synchronous_standby_names", "ANY 2 (a, b, c)");
    seen.server.standbys = {standby("a"), standby("b", "catchup"), standby("x")};
    const Finding finding = worst("synchronous_standbys", seen);
    EXPECT_EQ(finding.status, Status::critical);
    EXPECT_TRUE(finding.lethal);
    EXPECT_EQ(finding.value, 1);
    EXPECT_EQ(finding.fix,
              "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (a, b, c)'; SELECT pg_reload_conf();");
    EXPECT_EQ(finding.undo,
              "ALTER SYSTEM SET synchronous_standby_names = 'ANY 2 (a, b, c)'; SELECT pg_reload_conf();");
    seen.server.standbys.clear();
    EXPECT_EQ(worst("synchronous_standbys", seen).fix,
              "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();");
}

TEST(SynchronousStandbys, EnoughOrNotAsked)
{
    Observations seen = healthy();
    set(seen, "synchronous_standby_names", "FIRST 1 (a, b)");
    seen.server.standbys = {standby("B")};
    EXPECT_EQ(status("synchronous_standbys", seen), Status::ok);
    seen.server.standbys.clear();
    seen.server.in_recovery = true; // a standby itself waits for nobody
    EXPECT_EQ(status("synchronous_standbys", seen), Status::ok);
}

TEST(SynchronousStandbys, HiddenStandbysAreUnknown)
{
    Observations seen = healthy();
    set(seen, "synchronous_standby_names", "a");
    seen.server.standbys = {standby("a", "")};
    EXPECT_EQ(status("synchronous_standbys", seen), Status::unknown);
    EXPECT_EQ(status("replication_lag", seen), Status::unknown);
}

TEST(ReplicationSlots, RetainedWal)
{
    Observations seen = healthy();
    EXPECT_EQ(status("replication_slots", seen), Status::ok);
    seen.server.slots = {slot("s", true, 5 * gigabyte)};
    EXPECT_EQ(status("replication_slots", seen), Status::ok); // at the threshold, not above
    seen.server.slots = {slot("s", true, 6 * gigabyte)};
    EXPECT_EQ(status("replication_slots", seen), Status::warning);
    seen.server.slots = {slot("it's", false, 21 * gigabyte)};
    const Finding finding = worst("replication_slots", seen);
    EXPECT_EQ(finding.status, Status::critical);
    EXPECT_EQ(finding.fix, "SELECT pg_drop_replication_slot('it''s');");
    EXPECT_NE(finding.cause.find("until the disk is full"), std::string::npos);
}

TEST(ReplicationSlots, UnlimitedAndUnread)
{
    Observations seen = healthy();
    seen.server.slots = {slot("s", false, 2 * gigabyte)};
    EXPECT_EQ(status("replication_slots", seen), Status::warning);
    seen.server.slots.front().synced = true; // a standby's copy of its primary's slot
    EXPECT_EQ(status("replication_slots", seen), Status::ok);
    seen.server.slots = {slot("s", false, gigabyte / 2)};
    EXPECT_EQ(status("replication_slots", seen), Status::ok);
    seen.server.slots = {slot("s", false, 2 * gigabyte)};
    set(seen, "max_slot_wal_keep_size", "3072");
    EXPECT_EQ(status("replication_slots", seen), Status::ok);
}

// safe_wal_size is what remains: a small one is bad only once the server says so, a large one is no
// retention.
TEST(ReplicationSlots, WalStatus)
{
    Observations seen = healthy();
    set(seen, "max_slot_wal_keep_size", "102400");
    seen.server.slots = {slot("s", true, 0, "extended")};
    seen.server.slots.front().safe_bytes = 99 * gigabyte;
    EXPECT_EQ(status("replication_slots", seen), Status::ok);
    seen.server.slots.front().wal_status = "unreserved";
    seen.server.slots.front().safe_bytes = -5;
    EXPECT_EQ(status("replication_slots", seen), Status::warning);
    seen.server.slots.front().wal_status = "lost";
    seen.server.slots.front().retained_bytes.reset();
    seen.server.slots.front().invalidation_reason = "idle_timeout";
    const Finding finding = worst("replication_slots", seen);
    EXPECT_EQ(finding.status, Status::critical);
    EXPECT_NE(finding.message.find("idle_timeout"), std::string::npos);
    EXPECT_TRUE(finding.undo.empty());
}

TEST(InactiveSlots, OnlyWhereTheTimeIsKnown)
{
    Observations seen = healthy();
    seen.server.slots = {slot("s", false, 0)};
    const Finding unknown = worst("inactive_slots", seen); // 15 and 16 do not say since when
    EXPECT_EQ(unknown.status, Status::unknown);
    EXPECT_EQ(unknown.object, "slot s");
    seen.server.slots.front().inactive_seconds = 29 * 60;
    EXPECT_EQ(status("inactive_slots", seen), Status::ok);
    seen.server.slots.front().inactive_seconds = 31 * 60;
    EXPECT_EQ(status("inactive_slots", seen), Status::warning);
    seen.server.slots.front().synced = true;
    EXPECT_EQ(status("inactive_slots", seen), Status::ok);
    seen.server.slots = {slot("s", true, 0)}; // it has its reader
    EXPECT_EQ(status("inactive_slots", seen), Status::ok);
}

TEST(MissingStandby, DeclaredSeenAndGone)
{
    Observations seen = healthy();
    EXPECT_FALSE(run("missing_standby", seen).scored);
    seen.server.declared_standbys = {{"it's", 90}, {"b", 10}};
    seen.server.standbys = {standby("b"), standby("it's", "backup")}; // a base backup in its name
    const Outcome outcome = run("missing_standby", seen);
    ASSERT_EQ(outcome.findings.size(), 1u);
    EXPECT_EQ(outcome.status, Status::warning);
    EXPECT_EQ(outcome.findings.front().object, "it's");
    EXPECT_NE(outcome.findings.front().fix.find("forget_standby('it''s')"), std::string::npos);
    seen.server.standbys.push_back(standby("it's", "catchup"));
    EXPECT_EQ(status("missing_standby", seen), Status::ok);
    seen.server.standbys.push_back(standby("", "")); // may not be looked at
    EXPECT_EQ(status("missing_standby", seen), Status::unknown);
    seen.server.standbys.clear();
    seen.server.in_recovery = true; // promoted ones expect theirs, standbys do not
    EXPECT_EQ(status("missing_standby", seen), Status::ok);
}

TEST(ReplicationLag, BytesAndTime)
{
    Observations seen = healthy();
    seen.server.standbys = {standby("a", "streaming", 100 << 20)};
    EXPECT_EQ(status("replication_lag", seen), Status::ok);
    seen.server.standbys = {standby("a", "streaming", 101 << 20)};
    EXPECT_EQ(status("replication_lag", seen), Status::warning);
    seen.server.standbys = {standby("a", "streaming", 2 * gigabyte)};
    EXPECT_EQ(status("replication_lag", seen), Status::critical);
    seen.server.standbys.front().replay_lag_seconds = 6;
    EXPECT_EQ(status("replication_delay", seen), Status::warning);
    seen.server.standbys.front().lag_bytes = 0; // all replayed: the time is an old one
    EXPECT_EQ(status("replication_delay", seen), Status::ok);
    seen.server.standbys = {standby("pg_basebackup", "backup")};
    seen.server.standbys.front().lag_bytes.reset();
    EXPECT_EQ(status("replication_lag", seen), Status::ok);
}

TEST(StandbyReplay, QuietPrimaryIsNotLate)
{
    Observations seen = healthy();
    EXPECT_EQ(status("standby_replay", seen), Status::ok);
    seen.server.in_recovery = true;
    EXPECT_EQ(status("standby_replay", seen), Status::unknown);
    observed::StandbyReplay replay;
    replay.has_primary = replay.receiving = true;
    replay.unreplayed_bytes = 0;
    replay.since_commit_seconds = 86400;
    seen.server.replay = replay;
    EXPECT_EQ(status("standby_replay", seen), Status::ok);
    seen.server.replay->unreplayed_bytes = 8192;
    EXPECT_EQ(status("standby_replay", seen), Status::critical);
    seen.server.replay->since_commit_seconds = 61;
    EXPECT_EQ(status("standby_replay", seen), Status::warning);
    set(seen, "recovery_min_apply_delay", "60000"); // late on purpose
    EXPECT_EQ(status("standby_replay", seen), Status::ok);
}

TEST(StandbyReplay, ReceiverAndPause)
{
    Observations seen = healthy();
    seen.server.in_recovery = true;
    seen.server.replay = observed::StandbyReplay{};
    EXPECT_EQ(status("standby_replay", seen), Status::ok); // fed from an archive
    seen.server.replay->has_primary = true;
    EXPECT_EQ(status("standby_replay", seen), Status::critical);
    seen.server.replay->receiving = seen.server.replay->paused = true;
    EXPECT_EQ(worst("standby_replay", seen).fix, "SELECT pg_wal_replay_resume();");
}

TEST(Subscriptions, RunningOrOffOnPurpose)
{
    Observations seen = healthy();
    EXPECT_EQ(status("subscriptions", seen), Status::ok);
    seen.server.subscriptions = {{"s", true, true, 7, 1}}; // old errors of a running one
    EXPECT_EQ(status("subscriptions", seen), Status::ok);
    seen.server.subscriptions = {{"s", false, false, 0, 0}};
    EXPECT_EQ(status("subscriptions", seen), Status::ok);
    seen.server.subscriptions = {{"My Sub", true, false, 3, 0}};
    EXPECT_EQ(status("subscriptions", seen), Status::critical);
    seen.server.subscriptions = {{"My Sub", false, false, 3, 0, true}}; // disable_on_error
    EXPECT_EQ(worst("subscriptions", seen).fix, "ALTER SUBSCRIPTION \"My Sub\" ENABLE;");
    seen.server.subscriptions = {{"My Sub", false, false, 3, 0, false}}; // no error switches that off
    EXPECT_EQ(status("subscriptions", seen), Status::ok);
    seen.server.subscriptions = {{"My Sub", true, false, 3, 0}};
    seen.server.in_recovery = true;
    EXPECT_EQ(status("subscriptions", seen), Status::ok);
}

TEST(Replication, UnreadableIsUnknown)
{
    Observations seen = healthy();
    for (const char *topic : {"replication slots", "standbys", "subscriptions"})
        seen.server.unseen[topic] = "permission denied";
    for (const char *id :
         {"replication_slots", "inactive_slots", "replication_lag", "replication_delay", "subscriptions"})
        EXPECT_EQ(status(id, seen), Status::unknown) << id;
}

} // namespace
