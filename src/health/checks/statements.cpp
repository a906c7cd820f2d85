// What pg_stat_statements tells: which statements are slow, and which take the database's time.
#include "health/checks/checks.hpp"

#include "health/rates.hpp"
#include "health/sessions.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using observed::Statement;
using observed::Statements;

// The statements, or nothing with UNKNOWN said.
const Statements *statements_seen(const Observations &seen, Judge &judge)
{
    const auto why = seen.server.unseen.find("pg_stat_statements");
    if (!seen.server.statements || why != seen.server.unseen.end()) {
        judge.unknown(
            "statements could not be measured: " +
            (why == seen.server.unseen.end() ? std::string("pg_stat_statements was not read") : why->second));
        Finding &finding = judge.findings.back();
        finding.fix =
            seen.server.statements_preloaded
                ? "CREATE EXTENSION pg_stat_statements;"
                : "-- add pg_stat_statements to shared_preload_libraries, restart, then: CREATE EXTENSION "
                  "pg_stat_statements;";
        return nullptr;
    }
    int64_t hidden = 0;
    for (const Statement &statement : seen.server.statements->top)
        hidden += statement.query == "<insufficient privilege>";
    if (hidden > 0) {
        judge.unknown(
            format("%s of other roles cannot be read: this needs the privileges of pg_read_all_stats",
                   base::plural(hidden, "statement").c_str()));
        judge.findings.back().fix =
            format("GRANT pg_read_all_stats TO %s;", base::quote_identifier(seen.server.user).c_str());
    }
    return &*seen.server.statements;
}

bool judged(const Statement &statement)
{
    constexpr int64_t least_calls = 5;
    return statement.calls >= least_calls && statement.query != "<insufficient privilege>" &&
           !is_maintenance(statement.query);
}

double share_of(const Statement &statement, const Statements &all)
{
    return all.total_ms > 0 ? 100 * statement.total_ms / all.total_ms : 0;
}

void add_statement(Finding &finding, const Statement &statement, double share)
{
    finding.evidence.add("query_id", statement.query_id)
        .add("user", statement.user)
        .add("query", base::one_line(statement.query, 500))
        .add("calls", statement.calls)
        .add("rows", statement.rows)
        .add("total_ms", statement.total_ms)
        .add("mean_ms", statement.mean_ms)
        .add("max_ms", statement.max_ms)
        .add("blocks_read", statement.blocks_read)
        .add("temp_blocks_written", statement.temp_written);
    finding.impact_pct = share;
    finding.fix = "SELECT * FROM performance.recommend_indexes();";
    if (statement.temp_written > 0)
        finding.cause = format("it wrote %s blocks to temporary files -> it is larger than work_mem",
                               count_text(statement.temp_written).c_str());
}

std::string object_of(const Statement &statement)
{
    return format("query %lld", static_cast<long long>(statement.query_id));
}

// A statement that takes next to nothing of the database's time may be slow.
void slow_statements(const Observations &seen, Judge &judge)
{
    constexpr double least_share = 1; // percent
    const Statements *statements = statements_seen(seen, judge);
    if (!statements)
        return;
    for (const Statement &statement : statements->top) {
        const double share = share_of(statement, *statements);
        if (!judged(statement) || share < least_share)
            continue;
        if (Finding *finding =
                judge.measure(statement.mean_ms, object_of(statement),
                              format("takes %s on average (%s calls, %.0f %% of all statement time): %s",
                                     base::duration_text(statement.mean_ms / 1000).c_str(),
                                     count_text(statement.calls).c_str(), share,
                                     base::one_line(statement.query, 80).c_str())))
            add_statement(*finding, statement, share);
    }
    judge.fine(format("%s on record, none of them slow",
                      base::plural(statements->distinct, "distinct statement").c_str()));
}

// Only where it matters: fast statements on an idle database have shares too.
void dominant_statement(const Observations &seen, Judge &judge)
{
    constexpr double least_mean_ms = 100, least_total_ms = 60000;
    const Statements *statements = statements_seen(seen, judge);
    if (!statements)
        return;
    for (const Statement &statement : statements->top) {
        if (!judged(statement) || statement.mean_ms < least_mean_ms || statement.total_ms < least_total_ms)
            continue;
        const double share = share_of(statement, *statements);
        if (Finding *finding = judge.measure(
                share, object_of(statement),
                format("one statement takes %.0f %% of all statement time (%s calls, %s on average): %s",
                       share, count_text(statement.calls).c_str(),
                       base::duration_text(statement.mean_ms / 1000).c_str(),
                       base::one_line(statement.query, 80).c_str())))
            add_statement(*finding, statement, share);
    }
    judge.fine("no single statement takes most of the time");
}

// Evicted statements are missing from every share and ranking above.
void statement_evictions(const Observations &seen, Judge &judge)
{
    const Statements *statements = statements_seen(seen, judge);
    if (!statements)
        return;
    const auto per_hour =
        rate(static_cast<double>(statements->evicted), statements->since_reset_seconds, an_hour);
    if (!per_hour)
        return judge.fine("the counters run for less than ten minutes: too short to tell");
    const auto room = static_cast<int64_t>(seen.server.setting_number("pg_stat_statements.max", 5000));
    const std::string numbers =
        format("pg_stat_statements made room by evicting statements %s times, %s an hour (it holds %s)",
               count_text(statements->evicted).c_str(), base::number_text(*per_hour).c_str(),
               count_text(room).c_str());
    if (Finding *finding = judge.measure(*per_hour, "", numbers)) {
        finding->evidence.add("evictions", statements->evicted)
            .add("window_seconds", statements->since_reset_seconds)
            .add("max", room);
        finding->cause =
            "more distinct statements than pg_stat_statements.max -> the rare ones are forgotten "
            "-> totals and shares are too small";
        finding->fix = format("ALTER SYSTEM SET pg_stat_statements.max = %lld; -- needs a restart",
                              static_cast<long long>(room * 2));
        finding->undo = "ALTER SYSTEM RESET pg_stat_statements.max; -- needs a restart";
    }
    judge.fine(numbers);
}

constexpr Check checks[] = {
    {
        .id = "slow_statements",
        .title = "statements that are slow on average",
        .category = Category::performance,
        .points = 30,
        .metric = "slow_statement_mean_ms",
        .unit = "ms",
        .warning = 1000,
        .bottleneck = true,
        .explanation =
            "Statements called at least five times that take longer than the threshold on average "
            "and at least 1 % of all statement time. Maintenance commands and COPY are not counted.",
        .source = "pg_stat_statements: mean_exec_time, calls, total_exec_time",
        .evaluate = slow_statements,
    },
    {
        .id = "dominant_statement",
        .title = "one statement takes most of the time",
        .category = Category::performance,
        .points = 20,
        .metric = "statement_time_share_pct",
        .unit = "%",
        .warning = 50,
        .bottleneck = true,
        .explanation =
            "A statement that takes more than half of this database's statement time, once it took a "
            "minute in all and 100 ms a call: the place to start.",
        .source = "pg_stat_statements: total_exec_time / sum(total_exec_time)",
        .evaluate = dominant_statement,
    },
    {
        .id = "statement_evictions",
        .title = "statements evicted from pg_stat_statements",
        .category = Category::performance,
        .points = 10,
        .metric = "statement_evictions_per_hour",
        .unit = "per hour",
        .warning = 1,
        .explanation = "pg_stat_statements forgets the least used statements when more distinct ones come by "
                       "than it has room for: rankings and shares then miss them.",
        .source = "pg_stat_statements_info: dealloc / (now - stats_reset)",
        .evaluate = statement_evictions,
    },
};

} // namespace

std::span<const Check> statements_checks()
{
    return checks;
}

} // namespace opsrunbook::health
