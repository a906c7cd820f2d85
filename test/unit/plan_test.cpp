#include "maintenance/plan.hpp"
#include "maintenance/verification/plan_verification.hpp"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

using namespace opsrunbook;
using namespace opsrunbook::maintenance;

namespace {

using observed::Oid;

constexpr Oid public_schema = 2200, temporary_schema = 2201, system_schema = 11, toast_schema = 99;

// A database put together step by step; references to its tables last until the next one is added.
struct Database {
    observed::Relations relations;
    observed::Server server;
    std::vector<observed::Bloat> index_bloat;

    Database()
    {
        server.version = 150000;
        relations.schemas = {{system_schema, 10, "pg_catalog", true, false},
                             {toast_schema, 10, "pg_toast", true, false},
                             {public_schema, 10, "public", false, false},
                             {temporary_schema, 10, "pg_temp_3", false, true}};
    }

    observed::Relation relation(Oid oid, const std::string &name, char kind)
    {
        observed::Relation out{};
        out.oid = oid;
        out.schema = public_schema;
        out.kind = kind;
        out.persistence = 'p';
        out.options = -1;
        out.xid_age = out.mxid_age = 1000;
        out.name = relations.names.keep(name.c_str());
        return out;
    }

    // 1,000,000 rows on 20,000 pages, analyzed, all visible.
    observed::Table &table(Oid oid, const std::string &name, char kind = 'r')
    {
        observed::Table out{relation(oid, name, kind), {}};
        out.relation.rows = 1e6F;
        out.relation.pages = out.relation.all_visible_pages = 20000;
        out.counters.live_rows = 1000000;
        out.counters.last_analyze = {1};
        relations.tables.push_back(out);
        relations.link_table(relations.tables.size() - 1);
        return relations.tables.back();
    }

    observed::Table &toast_of(Oid owner, Oid oid)
    {
        const auto at = relations.table_by_oid.find(owner)->second;
        relations.tables[at].relation.toast = oid;
        relations.toast_owner.emplace(oid, at);
        observed::Table &out = table(oid, "pg_toast_" + std::to_string(owner), 't');
        out.relation.schema = toast_schema;
        return out;
    }

    observed::Index &index(Oid oid, const std::string &name, Oid of)
    {
        observed::Index &out = relations.indexes.emplace_back();
        out.relation = relation(oid, name, 'i');
        out.relation.pages = 1000;
        out.table = of;
        out.valid = out.ready = out.live = true;
        relations.link_index(relations.indexes.size() - 1);
        return out;
    }

    observed::Relation &partitioned(Oid oid, const std::string &name, float rows, Oid parent = 0)
    {
        observed::Relation &out = relations.others.emplace_back(relation(oid, name, 'p'));
        out.rows = rows;
        out.parent = parent;
        out.is_partition = parent != 0;
        return out;
    }

    std::vector<PlannedTask> plan(TaskFilter filter = TaskFilter::everything) const
    {
        return plan_tasks(relations, server, filter, index_bloat);
    }
    std::vector<std::string> commands(TaskFilter filter = TaskFilter::everything) const
    {
        std::vector<std::string> out;
        for (const PlannedTask &task : plan(filter))
            out.push_back(task.command);
        return out;
    }
};

using Commands = std::vector<std::string>;

} // namespace

TEST(Plan, NothingForATableInOrder)
{
    Database database;
    EXPECT_EQ(database.commands(), Commands{});
    database.table(100, "orders");
    database.index(101, "orders_pkey", 100);
    EXPECT_EQ(database.commands(), Commands{});
}

TEST(Plan, DeadRowsFromOneInAHundred)
{
    for (const auto &[dead, due] : std::vector<std::pair<int64_t, bool>>{{9000, false}, {11000, true}}) {
        Database database;
        database.table(100, "orders").counters.dead_rows = dead;
        EXPECT_EQ(database.commands(), due ? Commands{"VACUUM public.orders"} : Commands{}) << dead;
    }
    Database database;
    database.table(100, "Odd \"name").counters.dead_rows = 20000;
    const PlannedTask task = database.plan().at(0);
    EXPECT_EQ(task.command, "VACUUM public.\"Odd \"\"name\"");
    EXPECT_EQ(task.reason, "20,000 dead rows");
    EXPECT_EQ(task.relation, 100U);
    EXPECT_FALSE(task.emergency);
    EXPECT_FALSE(task.background);
}

TEST(Plan, SmallTablesFromTheFirstDeadRow)
{
    Database database;
    observed::Table &small = database.table(100, "settings");
    small.relation.pages = small.relation.all_visible_pages = 1024;
    small.counters.dead_rows = 1;
    EXPECT_EQ(database.commands(), Commands{"VACUUM public.settings"});
    database.relations.tables[0].relation.pages = 1025;
    EXPECT_EQ(database.commands(), Commands{});
}

TEST(Plan, DeadRowsInToastAreTheOwnersWork)
{
    Database database;
    database.table(100, "documents");
    database.toast_of(100, 101).counters.dead_rows = 50000;
    const auto tasks = database.plan();
    ASSERT_EQ(tasks.size(), 1U);
    EXPECT_EQ(tasks[0].command, "VACUUM public.documents");
    EXPECT_EQ(tasks[0].reason, "50,000 dead rows");
    EXPECT_EQ(tasks[0].relation, 100U);
}

TEST(Plan, ChangedInsertedAndNeverAnalyzed)
{
    Database database;
    database.table(100, "changed").counters.modified_since_analyze = 100051;
    database.table(101, "not_enough").counters.modified_since_analyze = 100050;
    database.table(102, "appended").counters.inserted_since_vacuum = 201001;
    observed::Table &fresh = database.table(103, "fresh");
    fresh.relation.rows = -1;
    fresh.counters.last_analyze = {};
    observed::Table &empty = database.table(104, "nothing_in_it");
    empty.relation.pages = 0;
    empty.relation.rows = -1;
    empty.counters = {};
    Commands all = database.commands();
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, (Commands{"ANALYZE public.changed", "ANALYZE public.fresh", "VACUUM public.appended"}));
    Commands only = database.commands(TaskFilter::analyze_only);
    std::sort(only.begin(), only.end());
    EXPECT_EQ(only, (Commands{"ANALYZE public.changed", "ANALYZE public.fresh"}));
}

TEST(Plan, AnalyzeOnlyLeavesDeadRowsAndIndexes)
{
    Database database;
    observed::Table &table = database.table(100, "mixed");
    table.counters.dead_rows = table.counters.modified_since_analyze = 200000;
    database.index(101, "mixed_idx", 100).valid = false;
    const auto all = database.plan();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].command, "VACUUM (ANALYZE) public.mixed");
    EXPECT_EQ(all[1].reason, "200,000 dead rows; 200,000 rows changed since the last ANALYZE");
    EXPECT_EQ(database.commands(TaskFilter::analyze_only), Commands{"ANALYZE public.mixed"});
}

TEST(Plan, FreezeAndEmergency)
{
    struct Case {
        int32_t age;
        const char *command;
        bool emergency;
    };
    for (const Case &one : {Case{199999999, "", false}, Case{200000001, "VACUUM (FREEZE) public.old", false},
                            Case{536870912, "VACUUM (FREEZE) public.old", false},
                            Case{536870913, "VACUUM (FREEZE, INDEX_CLEANUP off) public.old", true}}) {
        Database database;
        database.table(100, "busy").counters.dead_rows = 900000;
        database.table(101, "old").relation.xid_age = one.age;
        const auto tasks = database.plan();
        ASSERT_EQ(tasks.size(), *one.command ? 2U : 1U) << one.age;
        if (!*one.command)
            continue;
        const auto old = std::find_if(tasks.begin(), tasks.end(),
                                      [](const PlannedTask &task) { return task.relation == 101; });
        EXPECT_EQ(old->command, one.command);
        EXPECT_EQ(old->emergency, one.emergency);
        EXPECT_EQ(old->work.kind, TaskKind::vacuum_freeze);
        EXPECT_EQ(tasks.front().relation, one.emergency ? 101U : 100U) << "emergencies come first";
    }
}

TEST(Plan, MultixactsAreAnEmergencyLikeTransactionIds)
{
    struct Case {
        int32_t age;
        const char *command;
        bool emergency;
    };
    for (const Case &one :
         {Case{400000000, "", false}, Case{400000001, "VACUUM (FREEZE) public.locked", false},
          Case{536870912, "VACUUM (FREEZE) public.locked", false},
          Case{536870913, "VACUUM (FREEZE, INDEX_CLEANUP off) public.locked", true}}) {
        Database database;
        database.table(100, "locked").relation.mxid_age = one.age;
        const auto tasks = database.plan();
        ASSERT_EQ(tasks.size(), *one.command ? 1U : 0U) << one.age;
        if (!*one.command)
            continue;
        EXPECT_EQ(tasks[0].command, one.command);
        EXPECT_EQ(tasks[0].emergency, one.emergency) << one.age;
    }
}

TEST(Plan, TheReasonNamesTheAgesThatAreDue)
{
    Database database;
    database.table(100, "documents").relation.xid_age = 150000000; // not due
    observed::Table &toast = database.toast_of(100, 101);
    toast.relation.xid_age = 250000000;
    toast.relation.mxid_age = 300000000; // not due
    EXPECT_EQ(database.plan().at(0).reason, "its oldest transaction is 250,000,000 transactions old");
    database.relations.tables[0].relation.mxid_age = 1900000000;
    EXPECT_EQ(database.plan().at(0).reason,
              "its oldest transaction is 250,000,000 transactions old, its oldest multixact is "
              "1,900,000,000 multixacts old");
    database.relations.tables[1].relation.xid_age = 1000;
    EXPECT_EQ(database.plan().at(0).reason, "its oldest multixact is 1,900,000,000 multixacts old");
}

TEST(Plan, AnOldToastTableIsFrozenThroughItsOwner)
{
    Database database;
    database.table(100, "documents");
    database.toast_of(100, 101).relation.xid_age = 600000000;
    const auto tasks = database.plan();
    ASSERT_EQ(tasks.size(), 1U);
    EXPECT_EQ(tasks[0].command, "VACUUM (FREEZE, INDEX_CLEANUP off) public.documents");
    EXPECT_TRUE(tasks[0].emergency);
}

TEST(Plan, InvalidIndexesAreRebuiltBehind)
{
    Database database;
    database.table(100, "orders");
    database.index(101, "orders_date", 100).valid = false;
    database.index(102, "orders_fine", 100);
    const auto tasks = database.plan();
    ASSERT_EQ(tasks.size(), 1U);
    EXPECT_EQ(tasks[0].command, "REINDEX INDEX CONCURRENTLY public.orders_date");
    EXPECT_EQ(tasks[0].work.kind, TaskKind::reindex);
    EXPECT_EQ(tasks[0].relation, 100U);
    EXPECT_TRUE(tasks[0].background);
}

TEST(Plan, LeftoversAreDroppedOnlyBesideTheirOriginal)
{
    struct Case {
        const char *name, *original;
        Oid original_of;
        const char *command;
    };
    for (const Case &one :
         {Case{"o_idx_ccnew", "o_idx", 100, "DROP INDEX CONCURRENTLY public.o_idx_ccnew"},
          Case{"o_idx_ccnew2", "o_idx", 100, "DROP INDEX CONCURRENTLY public.o_idx_ccnew2"},
          Case{"o_idx_ccold", "o_idx", 100, "DROP INDEX CONCURRENTLY public.o_idx_ccold"},
          Case{"o_idx_ccnew", "other_idx", 100, "REINDEX INDEX CONCURRENTLY public.o_idx_ccnew"},
          Case{"o_idx_ccnew", "o_idx", 200, "REINDEX INDEX CONCURRENTLY public.o_idx_ccnew"},
          Case{"o_idx_ccnew_x", "o_idx", 100, "REINDEX INDEX CONCURRENTLY public.o_idx_ccnew_x"}}) {
        Database database;
        database.table(100, "orders");
        database.table(200, "another");
        database.index(101, one.original, one.original_of);
        database.index(102, one.name, 100).valid = false;
        EXPECT_EQ(database.commands(), Commands{one.command}) << one.name << " " << one.original;
    }
    // A name as long as names can be is cut to make room for the suffix.
    const std::string longest(63, 'x');
    for (const bool cut : {true, false}) {
        Database database;
        database.table(100, "orders");
        database.index(101, longest, 100);
        const std::string leftover = longest.substr(0, cut ? 57 : 50) + "_ccnew";
        database.index(102, leftover, 100).valid = false;
        EXPECT_EQ(database.commands(),
                  Commands{(cut ? "DROP INDEX CONCURRENTLY public." : "REINDEX INDEX CONCURRENTLY public.") +
                           leftover});
    }
    Database valid; // somebody's own, whatever its name
    valid.table(100, "orders");
    valid.index(101, "o_idx", 100);
    valid.index(102, "o_idx_ccnew", 100);
    EXPECT_EQ(valid.commands(), Commands{});
}

TEST(Plan, IndexesBeingBuiltAreLeftAlone)
{
    Database database;
    database.table(100, "orders");
    database.index(101, "orders_date", 100).valid = false;
    EXPECT_NE(database.commands(), Commands{});
    database.server.tables_being_indexed = {100};
    EXPECT_EQ(database.commands(), Commands{});
    database.server.tables_being_indexed = {101}; // its TOAST table: REINDEX CONCURRENTLY has both in work
    database.relations.indexes[0].in_work = true;
    EXPECT_EQ(database.commands(), Commands{});
}

TEST(Plan, BloatedIndexesAreRebuiltWhenItIsSureAndWorthIt)
{
    constexpr int64_t megabyte = 1 << 20;
    struct Case {
        double low_pct, pct;
        int64_t bytes;
        bool exclusion;
        int64_t free_bytes;
        bool planned;
    };
    for (const Case &one :
         {Case{38, 40, 100 * megabyte, false, 1000 * megabyte, true},
          Case{30, 31, 4 * megabyte, false, 1000 * megabyte, true},
          Case{29, 40, 100 * megabyte, false, 1000 * megabyte, false},   // may be less than it seems
          Case{38, 40, 2 * megabyte, false, 1000 * megabyte, false},     // gives back too little
          Case{38, 40, 100 * megabyte, true, 1000 * megabyte, false},    // not possible concurrently
          Case{38, 40, 100 * megabyte, false, 150 * megabyte, false}}) { // no room for the copy
        Database database;
        database.table(100, "orders");
        database.index(101, "orders_date", 100).exclusion = one.exclusion;
        database.server.volumes.push_back({"data directory", "/", 10000 * megabyte, one.free_bytes});
        observed::Bloat bloat;
        bloat.relation = 101;
        bloat.index = true;
        bloat.bytes = one.bytes;
        bloat.pct = one.pct;
        bloat.low_pct = one.low_pct;
        bloat.high_pct = one.pct + 2;
        bloat.method = "all pages";
        database.index_bloat = {bloat};
        EXPECT_EQ(database.commands(),
                  one.planned ? Commands{"REINDEX INDEX CONCURRENTLY public.orders_date"} : Commands{})
            << one.low_pct << " " << one.bytes;
        database.index_bloat[0].unmeasured = "locked";
        EXPECT_EQ(database.commands(), Commands{});
    }
}

TEST(Plan, TemporaryAndSystemTablesAreNotOurs)
{
    Database database;
    observed::Table &temporary = database.table(100, "mine");
    temporary.relation.persistence = 't';
    temporary.relation.schema = temporary_schema;
    temporary.counters.dead_rows = 500000;
    observed::Table &system = database.table(101, "pg_attribute");
    system.relation.schema = system_schema;
    system.counters.dead_rows = 500000;
    EXPECT_EQ(database.commands(), Commands{});
}

TEST(Plan, RetentionPoliciesAreTasks)
{
    Database database;
    observed::Table &table = database.table(100, "event");
    table.counters.seq_scans = 9;
    const std::vector<ExpiredRows> expired{{100, "public.event", "90 days", 0.25},
                                           {101, "public.parts", "1 year", 1},
                                           {102, "public.young", "1 year", 0}};
    const auto tasks = plan_tasks(database.relations, database.server, TaskFilter::everything, {}, expired);
    ASSERT_EQ(tasks.size(), 2U);
    EXPECT_EQ(tasks[0].command, "SELECT * FROM opsrunbook.apply_retention('public.event')");
    EXPECT_EQ(tasks[0].reason, "about 25 % of its rows are older than its retention policy keeps (90 days)");
    EXPECT_DOUBLE_EQ(tasks[0].benefit, 0.25 * 10 * 20000 * 8192);
    EXPECT_DOUBLE_EQ(work_bytes(tasks[0].work), 0.25 * 20000 * 8192);
    EXPECT_EQ(tasks[1].object, "public.parts");
    EXPECT_TRUE(
        plan_tasks(database.relations, database.server, TaskFilter::analyze_only, {}, expired).empty());
}

TEST(Plan, ARetentionPolicyThatDoesNotStandTakesNoTime)
{
    Database database;
    database.table(100, "event").counters.seq_scans = 9;
    const auto tasks = plan_tasks(database.relations, database.server, TaskFilter::everything, {},
                                  {{100, "public.event", "90 days", 0.25, "its setter is gone"}});
    ASSERT_EQ(tasks.size(), 1U);
    EXPECT_EQ(tasks[0].reason, "its retention policy is not applied: its setter is gone");
    EXPECT_DOUBLE_EQ(work_bytes(tasks[0].work), 0);
}

TEST(Plan, TheGreatestBenefitFirst)
{
    Database database;
    database.table(100, "few").counters.dead_rows = 20000;
    database.table(101, "many").counters.dead_rows = 500000;
    observed::Table &read = database.table(102, "few_but_read");
    read.counters.dead_rows = 20000;
    read.counters.seq_scans = 1000;
    EXPECT_EQ(database.commands(),
              (Commands{"VACUUM public.few_but_read", "VACUUM public.many", "VACUUM public.few"}));
}

TEST(Plan, ScansCountByTheDay)
{
    Database database;
    database.server.databases.resize(1);
    database.server.databases[0].current = true;
    observed::Table &table = database.table(100, "read");
    table.counters.dead_rows = 1000000; // every other row, of 20,000 pages
    table.counters.seq_scans = 1000;
    table.counters.index_scans = 3000000;
    const auto benefit = [&](double days) {
        database.server.now = {static_cast<int64_t>(days * 86400e6)};
        database.server.databases[0].stats_reset = base::Timestamp{0};
        return plan_tasks(database.relations, database.server, TaskFilter::everything, {})[0].benefit;
    };
    EXPECT_DOUBLE_EQ(benefit(100), 0.5 * 8192 * (20000 * (1 + 10) + 30000));
    EXPECT_DOUBLE_EQ(benefit(0.1), 0.5 * 8192 * (20000.0 * (1 + 1000) + 3000000)) << "not extrapolated";
}

TEST(Plan, PartitionedTablesAreAnalyzedAsAWhole)
{
    struct Case {
        float known;
        int64_t second; // rows of the second partition, beside 1,000,000 of the first
        bool due;
        const char *reason;
    };
    for (const Case &one :
         {Case{-1, 0, true,
               "never analyzed as a whole, its partitions hold 1,000,000 rows; autovacuum leaves it to you"},
          Case{1e6F, 100050, false, ""},
          Case{1e6F, 100051, true,
               "its partitions hold 1,100,051 rows, 1,000,000 when it was last analyzed as a whole; "
               "autovacuum leaves it to you"},
          Case{2e6F, 799950, false, ""}, Case{2e6F, 799900, true, nullptr}}) {
        Database database;
        database.partitioned(90, "log", one.known);
        database.partitioned(91, "log_2024", 1e6F, 90); // itself in order, whatever the second holds
        database.relations.others.back().rows = static_cast<float>(one.second);
        observed::Table &first = database.table(100, "log_2023");
        first.relation.parent = 90;
        first.relation.is_partition = true;
        observed::Table &second = database.table(101, "log_2024_1");
        second.relation.parent = 91;
        second.relation.is_partition = true;
        second.relation.rows = static_cast<float>(one.second);
        second.counters.live_rows = one.second;
        const auto tasks = database.plan();
        EXPECT_EQ(database.commands(), one.due ? Commands{"ANALYZE public.log"} : Commands{}) << one.second;
        EXPECT_EQ(database.commands(TaskFilter::analyze_only), database.commands());
        if (one.due && one.reason) {
            EXPECT_EQ(tasks.at(0).reason, one.reason);
            EXPECT_EQ(tasks.at(0).relation, 90U);
            EXPECT_EQ(tasks.at(0).work.kind, TaskKind::analyze);
        }
    }
}

TEST(Plan, NeverAnalyzedAndItsCountersLost)
{
    Database database;
    observed::Table &upgraded = database.table(100, "upgraded");
    upgraded.relation.rows = -1;
    upgraded.counters = {};
    EXPECT_EQ(database.commands(), Commands{"ANALYZE public.upgraded"});
}

TEST(Plan, PartitionedTablesWithoutRowsOrOfASession)
{
    Database database;
    database.partitioned(90, "no_partition", -1);
    database.partitioned(91, "of_a_session", -1).persistence = 't';
    observed::Table &part = database.table(100, "part");
    part.relation.parent = 91;
    part.relation.persistence = 't';
    database.partitioned(92, "empty", -1);
    observed::Table &nothing = database.table(101, "empty_1");
    nothing.relation.parent = 92;
    nothing.relation.rows = -1;
    nothing.relation.pages = 0;
    nothing.counters = {};
    EXPECT_EQ(database.commands(), Commands{});
}

TEST(Plan, OnlyThePartitionedTableItselfSince18)
{
    Database database;
    database.server.version = 180000;
    database.partitioned(90, "log", -1);
    database.table(100, "log_1").relation.parent = 90;
    EXPECT_EQ(database.commands(), Commands{"ANALYZE ONLY public.log"});
}

TEST(Plan, PartitionsNobodyCountedGoByTheCatalog)
{
    Database database; // after the statistics were reset
    database.partitioned(90, "log", 1e6F);
    observed::Table &part = database.table(100, "log_1");
    part.relation.parent = 90;
    part.counters = {};
    EXPECT_EQ(database.commands(), Commands{});
}

TEST(Plan, TheWorkCountsSpoiltPagesAndTheSample)
{
    constexpr double page = 8192;
    Database database;
    database.table(100, "visible").counters.inserted_since_vacuum = 300000;
    database.table(101, "spoilt").counters.dead_rows = 15000;
    observed::Table &both = database.table(102, "analyzed_too");
    both.counters.dead_rows = 15000;
    both.counters.modified_since_analyze = 200000;
    for (const PlannedTask &task : database.plan()) {
        const Work &work = task.work;
        EXPECT_EQ(work.heap_bytes_to_scan, task.relation == 100 ? page : 15000 * page) << task.object;
        const double vacuum = work.heap_bytes_to_scan + 20000 * page / 32;
        EXPECT_EQ(work_bytes(work), vacuum + (task.relation == 102 ? 20000 * page : 0)) << task.object;
    }
}

TEST(Plan, FreezeReadsThePagesThatAreAllVisible)
{
    constexpr double heap = 20000 * 8192.0;
    Database database;
    observed::Relation &relation = database.table(100, "append_only").relation;
    relation.xid_age = 250000000;
    const PlannedTask task = database.plan().at(0);
    EXPECT_EQ(task.work.kind, TaskKind::vacuum_freeze);
    EXPECT_EQ(task.work.heap_bytes_to_scan, heap);
    EXPECT_GE(task.benefit, heap / 4);
    relation.all_frozen_pages = 15000; // as 18 counts them
    EXPECT_EQ(database.plan().at(0).work.heap_bytes_to_scan, heap / 4);
}

TEST(PlanVerification, WhatIsDueAndInWhichOrder)
{
    Database database;
    for (const auto &[oid, name] : {std::pair{100, "never"},
                                    {101, "fresh"},
                                    {102, "due"},
                                    {103, "older"},
                                    {104, "damaged"},
                                    {105, "temporary"}})
        database.table(static_cast<Oid>(oid), name);
    database.relations.tables.back().relation.persistence = 't';
    database.toast_of(101, 200);
    const observed::VerifiedTables verified = {
        {101, {6.9, false}}, {102, {7, false}}, {103, {30, false}}, {104, {0.01, true}}};
    const auto tasks = plan_verification(database.relations, verified, 7);
    std::vector<std::string> reasons;
    reasons.reserve(tasks.size());
    for (const PlannedTask &task : tasks)
        reasons.push_back(task.object + ": " + task.reason);
    EXPECT_EQ(reasons, (std::vector<std::string>{"public.damaged: damage was found when it was last verified",
                                                 "public.never: never verified",
                                                 "public.older: last verified 30 d ago",
                                                 "public.due: last verified 7 d ago"}));
    EXPECT_EQ(tasks.front().command, "SELECT * FROM opsrunbook.verify_table('public.damaged')");
    EXPECT_FALSE(tasks.front().background);
    EXPECT_TRUE(plan_verification(database.relations, verified, 0).empty());
}

TEST(PlanVerification, ReadsTheHeapOnceForEachIndexToo)
{
    Database database;
    database.table(100, "orders");
    database.index(300, "orders_pkey", 100).relation.pages = 1000;
    database.index(301, "orders_at", 100).relation.pages = 3000;
    const auto tasks = plan_verification(database.relations, {}, 10);
    ASSERT_EQ(tasks.size(), 1u);
    EXPECT_EQ(tasks[0].work.kind, TaskKind::verify);
    EXPECT_EQ(tasks[0].work.heap_bytes, 3 * 20000 * 8192.0);
    EXPECT_EQ(tasks[0].work.index_bytes, 4000 * 8192.0);
    EXPECT_EQ(tasks[0].benefit, 24000 * 8192.0 / 10);
}
