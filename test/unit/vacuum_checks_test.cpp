// Late for VACUUM or ANALYZE, not just due; and dead rows that VACUUM cannot remove.
#include <gtest/gtest.h>

#include "checks_fixture.hpp"

namespace opsrunbook {
namespace {

using test::healthy;
using test::Observations;
using test::Status;
using test::status;
using test::worst;

constexpr double minute = 60, hour = 3600, day = 86400;

base::Timestamp before(const Observations &seen, double seconds)
{
    return seen.server.now + base::seconds(-seconds);
}

// A server that has been up for a month, with one table of a million rows, vacuumed and analyzed a day ago.
Observations one_table()
{
    Observations seen = healthy();
    seen.server.now = base::Timestamp{} + base::seconds(10000 * day);
    seen.server.started = before(seen, 30 * day);
    seen.relations.schemas.push_back({2200, 10, "public"});
    observed::Table table{};
    table.relation.oid = 50000;
    table.relation.schema = 2200;
    table.relation.name = "orders";
    table.relation.kind = 'r';
    table.relation.persistence = 'p';
    table.relation.rows = 1e6;
    table.relation.pages = 10000;
    table.relation.options = -1;
    table.counters.live_rows = 1000000;
    table.counters.autovacuums = 5;
    table.counters.last_autovacuum = table.counters.last_autoanalyze = before(seen, day);
    seen.relations.tables.push_back(table);
    seen.file_created[50000] = before(seen, 20 * day);
    return seen;
}

observed::TableCounters &counters(Observations &seen)
{
    return seen.relations.tables[0].counters;
}

constexpr int64_t vacuum_trigger = 200050, analyze_trigger = 100050;

TEST(Late, BecomingDueAfterADayIsNotBeingLate)
{
    Observations seen = one_table();
    counters(seen).dead_rows = vacuum_trigger + 1;
    counters(seen).modified_since_analyze = analyze_trigger + 1;
    EXPECT_EQ(status("dead_tuples", seen), Status::ok);
    EXPECT_EQ(status("vacuum_overdue", seen), Status::ok);
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
    // A twentieth above what gathers in a day: it became due more than an hour ago.
    counters(seen).dead_rows = vacuum_trigger * 21 / 20;
    counters(seen).modified_since_analyze = analyze_trigger * 21 / 20;
    EXPECT_EQ(status("dead_tuples", seen), Status::critical);
    EXPECT_EQ(status("vacuum_overdue", seen), Status::warning);
    EXPECT_EQ(status("stale_statistics", seen), Status::warning);
}

TEST(Late, ATableIsNoOlderThanItsFile)
{
    Observations seen = one_table(); // restored just now into a server that has been up for a month
    counters(seen) = {};
    counters(seen).live_rows = counters(seen).inserted_since_vacuum = counters(seen).modified_since_analyze =
        1000000;
    seen.relations.tables[0].relation.rows = -1;
    for (const auto &[age, expected] : {std::pair{5 * minute, Status::ok}, {hour, Status::warning}}) {
        seen.file_created[50000] = before(seen, age);
        EXPECT_EQ(status("vacuum_overdue", seen), expected) << age;
        EXPECT_EQ(status("stale_statistics", seen), expected) << age;
    }
}

// A crash drops the counters, and so does a promotion: they begin with autovacuum's launcher.
TEST(Late, NothingIsOlderThanAutovacuum)
{
    Observations seen = one_table();
    counters(seen) = {};
    counters(seen).live_rows = counters(seen).modified_since_analyze = 200000;
    seen.server.autovacuum_started = before(seen, 5 * minute);
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
    seen.server.autovacuum_started = before(seen, hour);
    EXPECT_EQ(status("stale_statistics", seen), Status::warning);
    seen.file_created.clear(); // there were too many to look at this one
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
}

TEST(Late, OnAStandbyThePrimaryTells)
{
    Observations seen = one_table();
    seen.relations.tables[0].relation.xid_age = 300000000;
    EXPECT_EQ(status("vacuum_overdue", seen), Status::warning);
    seen.server.in_recovery = true;
    EXPECT_EQ(status("vacuum_overdue", seen), Status::ok);
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
}

TEST(Late, TransactionIdsAgeEvenlyToo)
{
    Observations seen = one_table();
    observed::Relation &table = seen.relations.tables[0].relation;
    table.xid_age = 200000001;
    EXPECT_EQ(status("vacuum_overdue", seen), Status::ok);
    table.xid_age = 220000000; // a tenth of a day past autovacuum_freeze_max_age
    EXPECT_EQ(status("vacuum_overdue", seen), Status::warning);
}

TEST(Late, NotWhileItIsBeingDone)
{
    Observations seen = one_table();
    counters(seen).modified_since_analyze = 2 * analyze_trigger;
    seen.server.tables_being_analyzed = {50000};
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
    counters(seen).dead_rows = 2 * vacuum_trigger;
    seen.server.vacuums.push_back({42, 50000, "scanning heap", 0});
    EXPECT_EQ(status("vacuum_overdue", seen), Status::ok);
}

// pg_upgrade before 18 takes neither counters nor statistics along.
TEST(Late, LostCountersDoNotHideThatATableWasNeverAnalyzed)
{
    Observations seen = one_table();
    counters(seen) = {};
    seen.relations.tables[0].relation.rows = -1;
    EXPECT_EQ(status("stale_statistics", seen), Status::warning);
    EXPECT_NE(worst("stale_statistics", seen).message.find("1 never analyzed"), std::string::npos);
    seen.relations.tables[0].relation.pages = 50; // each might hold a single row: autovacuum would not come
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
}

TEST(Late, APartitionedTableWhosePartitionsHaveStatisticsAndItHasNone)
{
    Observations seen = one_table();
    observed::Relation parent = seen.relations.tables[0].relation;
    parent.oid = 50001;
    parent.name = "all_orders";
    parent.kind = 'p';
    parent.rows = -1;
    seen.relations.tables[0].relation.parent = 50001;
    seen.relations.others.push_back(parent);
    EXPECT_EQ(status("stale_statistics", seen), Status::warning);
    EXPECT_EQ(worst("stale_statistics", seen).fix, "ANALYZE public.all_orders;");
    counters(seen).last_autoanalyze = before(seen, minute); // just restored
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
    counters(seen).last_autoanalyze = before(seen, day);
    seen.relations.others[0].rows = 1e6;
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
    // A sibling whose counters were lost has the rows of the catalog, and those written since.
    observed::Table sibling = seen.relations.tables[0];
    sibling.relation.oid = 50002;
    sibling.counters = {};
    sibling.counters.live_rows = 100;
    seen.relations.tables.push_back(sibling);
    seen.relations.others[0].rows = 2e6;
    EXPECT_EQ(status("stale_statistics", seen), Status::ok);
}

// Autovacuum came a minute ago, as it does every minute, and could remove nothing.
Observations in_vain(observed::HorizonHolder holder)
{
    Observations seen = one_table();
    counters(seen).dead_rows = 5000000;
    counters(seen).last_autovacuum = before(seen, minute);
    seen.server.horizon.push_back(std::move(holder));
    return seen;
}

TEST(DeadTuples, ThatVacuumCannotRemoveNameWhoHoldsThem)
{
    EXPECT_EQ(status("dead_tuples", in_vain({"session", "pid 7 (ann)", 9, 7, "app", 5 * minute})),
              Status::ok);
    const auto six_hours = worst("dead_tuples", in_vain({"session", "pid 7 (ann)", 9, 7, "app", 6 * hour}));
    EXPECT_EQ(six_hours.status, Status::critical);
    EXPECT_EQ(six_hours.cause,
              "session pid 7 (ann) holds a snapshot 9 transactions old -> VACUUM cannot remove "
              "the dead rows of public.orders");
    EXPECT_EQ(six_hours.fix, "SELECT pg_terminate_backend(7);\nVACUUM public.orders;");
    const auto slot = worst("dead_tuples", in_vain({"replication slot", "old", 2000000, 0}));
    EXPECT_EQ(slot.fix, "SELECT pg_drop_replication_slot('old');\nVACUUM public.orders;");
}

TEST(DeadTuples, NobodyIsBlamedWhoCannotHoldThem)
{
    EXPECT_EQ(status("dead_tuples", in_vain({"session", "pid 7 (ann)", 2000000, 7, "other", day})),
              Status::ok);
    EXPECT_EQ(status("dead_tuples", in_vain({"prepared transaction", "x", 2000000, 0, "other", day})),
              Status::ok);
    EXPECT_EQ(
        status("dead_tuples", in_vain({"replication slot (catalog)", "decoding", 2000000, 0, {}, {}, true})),
        Status::ok);
    Observations never_vacuumed = in_vain({"replication slot", "old", 2000000, 0});
    counters(never_vacuumed).autovacuums = 0;
    EXPECT_EQ(status("dead_tuples", never_vacuumed), Status::ok);
}

} // namespace
} // namespace opsrunbook
