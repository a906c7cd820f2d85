#include <gtest/gtest.h>

#include "health/checks/checks.hpp"
#include "health/rates.hpp"
#include "health/triage/cache_advice.hpp"

using namespace opsrunbook;
using namespace opsrunbook::health;

namespace {

constexpr int64_t gigabyte = 1 << 30;

// A server whose counters run since `window` seconds; negative: the database was never reset by itself.
Observations counted(double window)
{
    Observations seen;
    seen.server.now = {base::seconds(1e9).microseconds};
    observed::Database database;
    database.name = "d";
    database.current = true;
    if (window >= 0)
        database.stats_reset =
            base::Timestamp{seen.server.now.microseconds - base::seconds(window).microseconds};
    seen.server.databases.push_back(database);
    return seen;
}

observed::Database &database_of(Observations &seen)
{
    return seen.server.databases[0];
}

Status status(const Observations &seen, const char *id)
{
    return evaluate(seen, Thresholds(), {id}).at(0).status;
}

Finding first(const Observations &seen, const char *id)
{
    return evaluate(seen, Thresholds(), {id}).at(0).findings.at(0);
}

TEST(Rates, WindowsTooShortUnknownOrShorterThanTheUnit)
{
    EXPECT_FALSE(rate(5, std::nullopt, an_hour));
    EXPECT_FALSE(rate(5, 599, an_hour));
    EXPECT_DOUBLE_EQ(*rate(5, 600, an_hour), 5); // not 30: the rest of the hour is not known
    EXPECT_DOUBLE_EQ(*rate(5, 2 * an_hour, an_hour), 2.5);
}

TEST(CacheHitRatio, FloorAndThresholds)
{
    struct Case {
        int64_t hit, read;
        Status status;
    };
    for (const Case &c : {Case{0, 0, Status::ok},
                          {0, 49999, Status::ok},
                          {900000, 100000, Status::ok},
                          {899999, 100001, Status::warning},
                          {800000, 200000, Status::warning},
                          {799999, 200001, Status::critical},
                          {40000, 49999, Status::ok}}) { // a cache that warms up
        Observations seen = counted(a_day);
        database_of(seen).blocks_hit = c.hit;
        database_of(seen).blocks_read = c.read;
        EXPECT_EQ(status(seen, "cache_hit_ratio"), c.status) << c.hit << "/" << c.read;
    }
}

TEST(TempFiles, GigabytesAnHour)
{
    struct Case {
        double window;
        int64_t bytes;
        Status status;
    };
    for (const Case &c : {Case{30 * a_day, 100 * gigabyte, Status::ok},
                          {a_day, 30 * gigabyte, Status::warning},
                          {a_day, 600 * gigabyte, Status::critical},
                          {300, 600 * gigabyte, Status::ok},
                          {1200, gigabyte / 2, Status::ok}}) {
        Observations seen = counted(c.window);
        database_of(seen).temp_bytes = c.bytes;
        EXPECT_EQ(status(seen, "temp_files"), c.status) << c.window << " s, " << c.bytes;
    }
    Observations seen = counted(a_day);
    database_of(seen).temp_bytes = 100 * gigabyte;
    seen.server.settings["work_mem"].value = "4096";
    EXPECT_EQ(first(seen, "temp_files").fix,
              "ALTER SYSTEM SET work_mem = '8192kB'; SELECT pg_reload_conf();");
    EXPECT_FALSE(first(seen, "temp_files").undo.empty());
}

TEST(Deadlocks, ARateAndNotTheLifetimeCounter)
{
    Observations seen = counted(365 * a_day);
    database_of(seen).deadlocks = 1000; // less than three a day
    EXPECT_EQ(status(seen, "deadlocks"), Status::ok);
    seen = counted(10 * a_day);
    database_of(seen).deadlocks = 60;
    EXPECT_EQ(status(seen, "deadlocks"), Status::warning);
    database_of(seen).deadlocks = 2000;
    EXPECT_EQ(status(seen, "deadlocks"), Status::critical);
    // clears when the statements lock in one order and time goes by
    seen = counted(30 * a_day);
    database_of(seen).deadlocks = 60;
    EXPECT_EQ(status(seen, "deadlocks"), Status::ok);
    seen = counted(1200);
    database_of(seen).deadlocks = 3; // three in twenty minutes are not 216 a day
    EXPECT_EQ(status(seen, "deadlocks"), Status::ok);
}

TEST(Deadlocks, TheWindowOfADatabaseNeverReset)
{
    Observations seen = counted(-1);
    database_of(seen).deadlocks = 1000;
    EXPECT_EQ(status(seen, "deadlocks"), Status::ok); // no window known
    seen.server.counting_since =
        base::Timestamp{seen.server.now.microseconds - base::seconds(a_day).microseconds};
    EXPECT_EQ(status(seen, "deadlocks"), Status::critical);
}

TEST(Rollbacks, FloorsAndThresholds)
{
    struct Case {
        int64_t commits, rollbacks;
        Status status;
    };
    for (const Case &c : {Case{0, 900, Status::ok},
                          {900, 100, Status::ok},
                          {890, 110, Status::warning},
                          {1000, 99, Status::ok},
                          {400, 600, Status::critical}}) {
        Observations seen = counted(a_day);
        database_of(seen).commits = c.commits;
        database_of(seen).rollbacks = c.rollbacks;
        EXPECT_EQ(status(seen, "rollbacks"), c.status) << c.commits << "/" << c.rollbacks;
    }
}

TEST(Conflicts, OnAStandbyOnly)
{
    Observations seen = counted(10 * an_hour);
    database_of(seen).conflicts = 50;
    EXPECT_EQ(status(seen, "conflicts"), Status::ok);
    seen.server.in_recovery = true;
    EXPECT_EQ(status(seen, "conflicts"), Status::warning);
    EXPECT_NE(first(seen, "conflicts").fix.find("hot_standby_feedback = on"), std::string::npos);
    seen.server.settings["hot_standby_feedback"].value = "on";
    EXPECT_NE(first(seen, "conflicts").fix.find("max_standby_streaming_delay"), std::string::npos);
    // clears when they are rarer
    database_of(seen).conflicts = 10;
    EXPECT_EQ(status(seen, "conflicts"), Status::ok);
}

TEST(Performance, UnreadCountersAreUnknown)
{
    Observations seen;
    seen.server.in_recovery = true;
    for (const char *id : {"cache_hit_ratio", "temp_files", "deadlocks", "rollbacks", "conflicts",
                           "slow_statements", "dominant_statement", "statement_evictions"})
        EXPECT_EQ(status(seen, id), Status::unknown) << id;
}

observed::Statement statement(int64_t calls, double mean_ms, const char *query = "SELECT * FROM t")
{
    observed::Statement made;
    made.query_id = 42;
    made.query = query;
    made.calls = calls;
    made.mean_ms = mean_ms;
    made.total_ms = static_cast<double>(calls) * mean_ms;
    return made;
}

Observations running(observed::Statement made, double total_ms)
{
    Observations seen;
    seen.server.statements.emplace();
    seen.server.statements->top.push_back(std::move(made));
    seen.server.statements->total_ms = total_ms;
    return seen;
}

TEST(SlowStatements, MeanCallsAndShare)
{
    EXPECT_EQ(status(running(statement(5, 1001), 10000), "slow_statements"), Status::warning);
    EXPECT_EQ(status(running(statement(5, 1000), 10000), "slow_statements"), Status::ok);
    EXPECT_EQ(status(running(statement(4, 9000), 100000), "slow_statements"), Status::ok);
    EXPECT_EQ(status(running(statement(5, 1001), 1e7), "slow_statements"), Status::ok); // 0.05 % of the time
    EXPECT_EQ(status(running(statement(5, 1e6, "VACUUM t"), 1e7), "slow_statements"), Status::ok);
    EXPECT_NEAR(*first(running(statement(5, 2000), 20000), "slow_statements").impact_pct, 50, 1e-9);
}

TEST(DominantStatement, HalfOfTheTimeWhereItMatters)
{
    EXPECT_EQ(status(running(statement(1000, 100), 150000), "dominant_statement"), Status::warning);
    // clears when it takes less
    EXPECT_EQ(status(running(statement(1000, 100), 250000), "dominant_statement"), Status::ok);
    EXPECT_EQ(status(running(statement(1000000, 5), 5000001), "dominant_statement"), Status::ok); // fast
    EXPECT_EQ(status(running(statement(10, 100), 1001), "dominant_statement"), Status::ok); // a second in all
}

TEST(Statements, WhatMayNotBeReadIsUnknown)
{
    Observations seen = running(statement(1000, 2000, "<insufficient privilege>"), 2e6);
    seen.server.user = "watcher";
    EXPECT_EQ(status(seen, "slow_statements"), Status::unknown);
    EXPECT_EQ(first(seen, "slow_statements").fix, "GRANT pg_read_all_stats TO watcher;");
}

TEST(StatementEvictions, ByTheHour)
{
    Observations seen = running(statement(1, 1), 1);
    seen.server.settings["pg_stat_statements.max"].value = "1000";
    seen.server.statements->evicted = 30;
    EXPECT_EQ(status(seen, "statement_evictions"), Status::ok); // since when is not known
    seen.server.statements->since_reset_seconds = 10 * an_hour;
    EXPECT_EQ(status(seen, "statement_evictions"), Status::warning);
    EXPECT_NE(first(seen, "statement_evictions").fix.find("max = 2000"), std::string::npos);
    seen.server.statements->since_reset_seconds = 100 * an_hour;
    EXPECT_EQ(status(seen, "statement_evictions"), Status::ok);
}

CacheAdvice advice(const CacheNumbers &numbers, const std::string &metric)
{
    for (const CacheAdvice &row : cache_advice(numbers))
        if (row.metric == metric)
            return row;
    return {};
}

TEST(CacheAdvice, SharedBuffersAgainstMemoryAndDatabase)
{
    CacheNumbers numbers;
    numbers.shared_buffers = gigabyte / 8;
    numbers.memory_bytes = 32 * gigabyte;
    numbers.database_bytes = 100 * gigabyte;
    EXPECT_EQ(advice(numbers, "shared_buffers").fix_command, "ALTER SYSTEM SET shared_buffers = '8192MB';");
    numbers.database_bytes = 4 * gigabyte; // no more than is of use
    EXPECT_EQ(advice(numbers, "shared_buffers").fix_command, "ALTER SYSTEM SET shared_buffers = '5120MB';");
    numbers.database_bytes = gigabyte / 16;
    EXPECT_EQ(advice(numbers, "shared_buffers").action_required, "none");
    numbers.database_bytes = 100 * gigabyte;
    numbers.shared_buffers = 8 * gigabyte;
    EXPECT_EQ(advice(numbers, "shared_buffers").action_required, "none");
    numbers.shared_buffers = gigabyte;
    numbers.memory_bytes.reset();
    EXPECT_EQ(advice(numbers, "shared_buffers").fix_command, "");
}

TEST(CacheAdvice, ACommandOnlyWhereSomethingIsToBeDone)
{
    CacheNumbers numbers;
    numbers.temp_bytes_per_hour = 5.0 * gigabyte;
    numbers.work_mem = 4 << 20;
    numbers.tables = {{"public.big", 100, 100000, 50, 10 * gigabyte},
                      {"public.cool", 99000, 1000, 5, gigabyte}};
    EXPECT_GE(cache_advice(numbers).size(), 3u);
    for (const CacheAdvice &row : cache_advice(numbers))
        EXPECT_TRUE(row.fix_command.empty() || row.action_required != "none") << row.metric;
    EXPECT_NE(advice(numbers, "temporary files").fix_command.find("'8192kB'"), std::string::npos);
    EXPECT_EQ(advice(numbers, "table public.big").action_required, "look for a missing index");
    EXPECT_EQ(advice(numbers, "table public.cool").action_required, "none");
}

TEST(SlruCache, EachByItselfFromTenThousandReadsOn)
{
    struct Case {
        int64_t hits, reads;
        Status status;
    };
    for (const Case &c : {Case{0, 9999, Status::ok},
                          {90000, 10000, Status::ok},
                          {89999, 10001, Status::warning},
                          {10000, 10000, Status::warning},
                          {9999, 10001, Status::critical}}) {
        Observations seen = counted(a_day);
        seen.server.slru_caches = {{"subtransaction", c.hits, c.reads}, {"transaction", 1000000, 10000}};
        EXPECT_EQ(status(seen, "slru_cache"), c.status) << c.hits << "/" << c.reads;
    }
    Observations seen = counted(a_day);
    seen.server.unseen["SLRU caches"] = "permission denied";
    EXPECT_EQ(status(seen, "slru_cache"), Status::unknown);
}

TEST(SlruCache, ASettingWhereThereIsOne)
{
    Observations seen = counted(a_day);
    seen.server.slru_caches = {{"subtransaction", 0, 20000}};
    EXPECT_EQ(first(seen, "slru_cache").object, "subtransaction");
    EXPECT_EQ(first(seen, "slru_cache").fix,
              "-- fewer savepoints a transaction, shorter transactions beside them; from PostgreSQL 17 on "
              "subtransaction_buffers sets its size");
    seen.server.settings["subtransaction_buffers"] = {"32", "8kB", "default", "postmaster", false};
    EXPECT_EQ(first(seen, "slru_cache").fix,
              "ALTER SYSTEM SET subtransaction_buffers = '128'; -- and restart the server");
    seen.server.settings["subtransaction_buffers"].value = "100";
    EXPECT_EQ(first(seen, "slru_cache").fix,
              "ALTER SYSTEM SET subtransaction_buffers = '200'; -- and restart the server");
}

Observations updated(int64_t rows, int64_t updates, int64_t hot, int64_t moved, int16_t fillfactor = 0)
{
    Observations seen = counted(a_day);
    seen.relations.schemas = {{2200, 10, "public", false, false}};
    observed::Table table{};
    table.relation.oid = 20000;
    table.relation.schema = 2200;
    table.relation.kind = 'r';
    table.relation.persistence = 'p';
    table.relation.options = -1;
    table.relation.fillfactor = fillfactor;
    table.relation.name = seen.relations.names.keep("t");
    table.counters.live_rows = rows;
    table.counters.updated = updates;
    table.counters.hot_updated = hot;
    table.counters.moved = moved;
    table.last_index = 1;
    seen.relations.tables.push_back(table);
    seen.relations.link_table(0);
    seen.relations.tables.back().last_index = 1;
    return seen;
}

TEST(HotUpdates, ManyUpdatesOfTheSameRows)
{
    struct Case {
        int64_t rows, updates, hot;
        Status status;
    };
    for (const Case &c : {Case{1000, 99999, 0, Status::ok},
                          {1000, 100000, 29999, Status::warning},
                          {1000, 100000, 30000, Status::ok},
                          {20000, 100000, 0, Status::warning},
                          {20001, 100000, 0, Status::ok}})
        EXPECT_EQ(status(updated(c.rows, c.updates, c.hot, -1), "hot_updates"), c.status)
            << c.rows << " " << c.updates << " " << c.hot;
}

TEST(HotUpdates, RoomOnlyWhereItWasMissing)
{
    EXPECT_EQ(first(updated(10, 100000, 0, -1), "hot_updates").fix,
              "ALTER TABLE public.t SET (fillfactor = 75);");
    EXPECT_EQ(first(updated(10, 100000, 0, 60000), "hot_updates").undo,
              "ALTER TABLE public.t RESET (fillfactor);");
    EXPECT_EQ(first(updated(10, 100000, 0, 60000, 60), "hot_updates").fix,
              "ALTER TABLE public.t SET (fillfactor = 50);");
    EXPECT_EQ(first(updated(10, 100000, 0, 60000, 60), "hot_updates").undo,
              "ALTER TABLE public.t SET (fillfactor = 60);");
    EXPECT_EQ(first(updated(10, 100000, 0, 40000), "hot_updates").fix,
              "-- is every index with a changing column needed? SELECT * FROM get_index_usage_stats() "
              "WHERE schemaname = 'public' AND tablename = 't';");
}

} // namespace
