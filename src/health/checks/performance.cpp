// Cache, temporary files, deadlocks, rollbacks and recovery conflicts.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/rates.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using base::size_text;
using observed::Database;

// The database that the check is about; nullptr, with UNKNOWN said, when it could not be read.
const Database *database_seen(const Observations &seen, Judge &judge)
{
    const Database *database = seen.server.current_database();
    if (!database) {
        const auto why = seen.server.unseen.find("databases");
        judge.unknown("the database's counters could not be read" +
                      (why == seen.server.unseen.end() ? "" : ": " + why->second));
    }
    return database;
}

constexpr const char *too_short = "the counters run for less than ten minutes: too short to tell";

// What the counters are about.
std::string lately(const Observations &seen, const Database &database)
{
    return database.sampled
               ? "in the last " + base::duration_text((seen.server.now - *database.sampled).seconds())
               : "so far";
}

// The first look at anything misses: until more was read than fills the cache once, a low ratio is a cache
// that warms up, not one that is too small.
void cache_hit_ratio(const Observations &seen, Judge &judge)
{
    const Database *database = database_seen(seen, judge);
    if (!database)
        return;
    const auto cache = static_cast<int64_t>(seen.server.setting_number("shared_buffers", 0)); // blocks
    constexpr int64_t enough = 50000;
    const int64_t read = database->blocks_read_before + database->blocks_read;
    if (read < std::max(enough, cache))
        return judge.fine(format("only %s blocks were read so far: a cache of %s blocks is not warm yet",
                                 count_text(read).c_str(), count_text(cache).c_str()));
    const int64_t blocks = database->blocks_hit + database->blocks_read;
    if (blocks < enough)
        return judge.fine(format("only %s blocks were asked for %s: too few to tell",
                                 count_text(blocks).c_str(), lately(seen, *database).c_str()));
    const double ratio = 100.0 * static_cast<double>(database->blocks_hit) / static_cast<double>(blocks);
    const std::string numbers =
        format("%.1f %% of %s blocks came from shared_buffers (%s)", ratio, count_text(blocks).c_str(),
               size_text(static_cast<int64_t>(seen.server.setting_number("shared_buffers", 0) *
                                              seen.server.setting_number("block_size", 8192)))
                   .c_str());
    if (Finding *finding = judge.measure(ratio, "", numbers)) {
        finding->evidence.add("blocks_hit", database->blocks_hit).add("blocks_read", database->blocks_read);
        finding->fix = "SELECT * FROM performance.optimize_cache();";
    }
    judge.fine(numbers);
}

void temp_files(const Observations &seen, Judge &judge)
{
    const Database *database = database_seen(seen, judge);
    if (!database)
        return;
    const std::optional<double> window = seen.server.counted_seconds(*database);
    const auto bytes = rate(static_cast<double>(database->temp_bytes), window, an_hour);
    if (!bytes)
        return judge.fine(too_short);
    const std::string numbers =
        format("%s an hour go to temporary files (%s in %s in the last %s)",
               size_text(static_cast<int64_t>(*bytes)).c_str(), size_text(database->temp_bytes).c_str(),
               base::plural(database->temp_files, "file").c_str(), base::duration_text(*window).c_str());
    if (Finding *finding = judge.measure(*bytes / (1 << 30), "", numbers)) {
        const auto work_mem = static_cast<int64_t>(seen.server.setting_number("work_mem", 4096)); // kB
        finding->evidence.add("temp_bytes", database->temp_bytes)
            .add("temp_files", database->temp_files)
            .add("window_seconds", window)
            .add("work_mem_kb", work_mem);
        finding->cause = "sorts and hashes are larger than work_mem -> they spill to disk";
        finding->fix = format("ALTER SYSTEM SET work_mem = '%lldkB'; SELECT pg_reload_conf();",
                              static_cast<long long>(work_mem * 2));
        finding->undo = "ALTER SYSTEM RESET work_mem; SELECT pg_reload_conf();";
    }
    judge.fine(numbers);
}

// A rate: the lifetime counter alone would alarm for ever after one bad day.
void deadlocks(const Observations &seen, Judge &judge)
{
    const Database *database = database_seen(seen, judge);
    if (!database)
        return;
    const std::optional<double> window = seen.server.counted_seconds(*database);
    const auto per_day = rate(static_cast<double>(database->deadlocks), window, a_day);
    if (!per_day)
        return judge.fine(too_short);
    const std::string numbers =
        format("%s in the last %s, %s a day", base::plural(database->deadlocks, "deadlock").c_str(),
               base::duration_text(*window).c_str(), base::number_text(*per_day).c_str());
    if (Finding *finding = judge.measure(*per_day, "", numbers)) {
        finding->evidence.add("deadlocks", database->deadlocks).add("window_seconds", window);
        finding->cause = "transactions lock the same rows in different orders -> the server ends one of them";
        finding->fix = "-- the server log names both statements of each deadlock: make them lock rows in one "
                       "order (for example SELECT ... ORDER BY id FOR UPDATE first)";
    }
    judge.fine(numbers);
}

void rollbacks(const Observations &seen, Judge &judge)
{
    constexpr int64_t least_transactions = 1000, least_rollbacks = 100;
    const Database *database = database_seen(seen, judge);
    if (!database)
        return;
    const int64_t all = database->commits + database->rollbacks;
    if (all < least_transactions)
        return judge.fine(format("only %s transactions %s: too few to tell", count_text(all).c_str(),
                                 lately(seen, *database).c_str()));
    const double pct = 100.0 * static_cast<double>(database->rollbacks) / static_cast<double>(all);
    const std::string numbers =
        format("%.1f %% of %s transactions were rolled back", pct, count_text(all).c_str());
    if (database->rollbacks >= least_rollbacks)
        if (Finding *finding = judge.measure(pct, "", numbers)) {
            finding->evidence.add("commits", database->commits).add("rollbacks", database->rollbacks);
            finding->fix = "-- the server log has the errors behind them (log_min_error_statement = error "
                           "names the statements)";
        }
    judge.fine(numbers);
}

// Only a standby has them: replay ended a query that was in its way.
void conflicts(const Observations &seen, Judge &judge)
{
    if (!seen.server.in_recovery)
        return judge.fine("not a standby");
    const Database *database = database_seen(seen, judge);
    if (!database)
        return;
    const std::optional<double> window = seen.server.counted_seconds(*database);
    const auto per_hour = rate(static_cast<double>(database->conflicts), window, an_hour);
    if (!per_hour)
        return judge.fine(too_short);
    const std::string numbers = format(
        "%s by replay, %s an hour",
        database->conflicts == 1 ? "1 query was cancelled"
                                 : (count_text(database->conflicts) + " queries were cancelled").c_str(),
        base::number_text(*per_hour).c_str());
    if (Finding *finding = judge.measure(*per_hour, "", numbers)) {
        const bool feedback = seen.server.setting_on("hot_standby_feedback", false);
        finding->evidence.add("conflicts", database->conflicts)
            .add("window_seconds", window)
            .add("hot_standby_feedback", feedback);
        finding->fix = feedback
                           ? "ALTER SYSTEM SET max_standby_streaming_delay = '5min'; SELECT pg_reload_conf();"
                           : "ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();";
        finding->undo = feedback ? "ALTER SYSTEM RESET max_standby_streaming_delay; SELECT pg_reload_conf();"
                                 : "ALTER SYSTEM RESET hot_standby_feedback; SELECT pg_reload_conf();";
    }
    judge.fine(numbers);
}

constexpr Check checks[] = {
    {
        .id = "cache_hit_ratio",
        .title = "blocks found in shared_buffers",
        .category = Category::performance,
        .points = 30,
        .metric = "cache_hit_ratio",
        .unit = "%",
        .direction = Direction::below,
        .warning = 90,
        .critical = 80,
        .bottleneck = true,
        .explanation =
            "Share of block accesses of this database that shared_buffers answered, judged from "
            "50,000 accesses on. The rest went to the operating system, though not always to disk.",
        .source = "pg_stat_database: blks_hit / (blks_hit + blks_read)",
        .evaluate = cache_hit_ratio,
    },
    {
        .id = "temp_files",
        .title = "data spilled to temporary files",
        .category = Category::performance,
        .points = 20,
        .metric = "temp_gigabytes_per_hour",
        .unit = "GB/h",
        .warning = 1,
        .critical = 20,
        .bottleneck = true,
        .explanation =
            "How much sorts, hashes and index builds wrote to temporary files by the hour: in the last "
            "day where alerts are observed, else since the counters were reset. Counters younger than "
            "ten minutes are not judged.",
        .source =
            "pg_stat_database.temp_bytes / (now - stats_reset), differences of opsrunbook.counter_sample",
        .evaluate = temp_files,
    },
    {
        .id = "deadlocks",
        .title = "deadlocks",
        .category = Category::performance,
        .points = 20,
        .metric = "deadlocks_per_day",
        .unit = "per day",
        .warning = 5,
        .critical = 100,
        .bottleneck = true,
        .explanation =
            "Deadlocks a day: in the last day where alerts are observed, else since the counters were "
            "reset. Each cost one transaction.",
        .source =
            "pg_stat_database.deadlocks / (now - stats_reset), differences of opsrunbook.counter_sample",
        .evaluate = deadlocks,
    },
    {
        .id = "rollbacks",
        .title = "transactions rolled back",
        .category = Category::performance,
        .points = 20,
        .metric = "rollback_pct",
        .unit = "%",
        .warning = 10,
        .critical = 50,
        .explanation = "Share of this database's transactions that ended in a rollback, judged from 1,000 "
                       "transactions and 100 rollbacks on.",
        .source = "pg_stat_database: xact_rollback / (xact_commit + xact_rollback)",
        .evaluate = rollbacks,
    },
    {
        .id = "conflicts",
        .title = "queries cancelled by replay on a standby",
        .category = Category::performance,
        .points = 20,
        .metric = "recovery_conflicts_per_hour",
        .unit = "per hour",
        .warning = 1,
        .critical = 60,
        .explanation = "Queries on this standby that were cancelled because replay of the primary's changes "
                       "could not wait for them any longer.",
        .source = "pg_stat_database.conflicts / (now - stats_reset)",
        .evaluate = conflicts,
    },
};

} // namespace

std::span<const Check> performance_checks()
{
    return checks;
}

} // namespace opsrunbook::health
