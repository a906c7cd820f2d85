// The reports: every check in a row, for people who look rather than for machines that alert.
#include "health/health.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "health/presentation.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::Value;

double cache_hit_ratio(const observed::Database &database)
{
    const int64_t all = database.blocks_hit + database.blocks_read;
    return all == 0 ? 100 : 100.0 * static_cast<double>(database.blocks_hit) / static_cast<double>(all);
}

// The numbers that people look for first, whether good or bad; the status is that of the check behind each.
struct Headline {
    const char *category;
    const char *metric;
    std::string value;
    const char *check;
};

std::vector<Headline> headlines(const Observations &seen)
{
    std::vector<Headline> lines;
    const observed::Server &server = seen.server;
    if (const observed::Database *database = server.current_database()) {
        lines.push_back({"performance", "cache hit ratio", format("%.2f %%", cache_hit_ratio(*database)),
                         "cache_hit_ratio"});
        lines.push_back({"performance", "transactions",
                         base::count_text(database->commits + database->rollbacks), "rollbacks"});
        lines.push_back({"performance", "deadlocks", base::count_text(database->deadlocks), "deadlocks"});
        lines.push_back({"wraparound", "transaction id age", base::count_text(database->xid_age), "xid_age"});
    }
    int64_t client = 0, active = 0, blocked = 0;
    double longest = 0;
    for (const observed::Session &session : server.sessions) {
        client += session.kind == "client backend";
        active += session.kind == "client backend" && session.state == "active";
        blocked += !session.blocked_by.empty();
        if (session.kind == "client backend" && session.state == "active")
            longest = std::max(longest, session.query_seconds.value_or(0));
    }
    lines.push_back({"connections", "connections",
                     format("%lld of %lld", static_cast<long long>(client),
                            static_cast<long long>(server.max_connections)),
                     "connections"});
    lines.push_back({"connections", "active queries", base::count_text(active), "active_connections"});
    lines.push_back({"connections", "longest query", base::duration_text(longest), "long_query"});
    lines.push_back({"locks", "blocked sessions", base::count_text(blocked), "blocked_sessions"});
    int64_t dead = 0;
    for (const observed::Table &table : seen.relations.tables)
        if (seen.relations.user_owned(table.relation))
            dead += table.counters.dead_rows;
    lines.push_back({"vacuum", "dead tuples", base::count_text(dead), "dead_tuples"});
    lines.push_back(
        {"storage", "database size", base::size_text(server.database_bytes.value_or(0)), "database_size"});
    return lines;
}

std::string status_of(const Diagnosis &diagnosis, const char *check)
{
    for (const Outcome &outcome : diagnosis.outcomes)
        if (outcome.check->id == check)
            return level(outcome.status);
    return level(Status::ok);
}

// The thresholds in force for what the outcome's text is about, as "above 80 / 90 %".
std::string threshold_text(const Outcome &outcome, const Thresholds &thresholds)
{
    const Check &check = *outcome.check;
    const Finding *const shown = !outcome.findings.empty() ? &outcome.findings.front()
                                 : !outcome.muted.empty()  ? &outcome.muted.front()
                                                           : nullptr;
    const Judge judge(check, thresholds);
    std::vector<std::string> limits;
    for (const Status status : {Status::warning, Status::critical})
        if (const auto limit = judge.threshold(status, shown ? shown->object : ""))
            limits.push_back(base::number_text(*limit));
    if (limits.empty())
        return "";
    return format("%s %s%s%s", std::string(direction_text(check.direction)).c_str(),
                  base::join(limits, " / ").c_str(), check.unit.empty() ? "" : " ",
                  std::string(check.unit).c_str());
}

} // namespace

void generate_performance_report(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    const Score score = score_of(diagnosis.outcomes);
    rows.add({"summary", "health score",
              format("%s of 100 (%s)", base::number_text(score.overall).c_str(), score.verdict.c_str()),
              level(score.status), overall_finding(score, worst_loss(score))});
    for (const Headline &line : headlines(diagnosis.seen))
        rows.add({"summary", line.metric, line.value, status_of(diagnosis, line.check), Value()});
    for (const Outcome &outcome : diagnosis.outcomes)
        rows.add({std::string(category_text(outcome.check->category)), std::string(outcome.check->title),
                  outcome_text(outcome), level(outcome.status), std::string(outcome.check->explanation)});
    if (const auto &statements = diagnosis.seen.server.statements)
        for (size_t i = 0; i < std::min<size_t>(5, statements->top.size()); ++i) {
            const observed::Statement &statement = statements->top[i];
            const double share =
                statements->total_ms > 0 ? 100 * statement.total_ms / statements->total_ms : 0;
            rows.add({"statements by total time", base::one_line(statement.query, 80),
                      format("%.1f %% of the time, %s calls, mean %.1f ms", share,
                             base::count_text(statement.calls).c_str(), statement.mean_ms),
                      level(Status::ok),
                      format("query id %lld", static_cast<long long>(statement.query_id))});
        }
}

void dashboard(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    const Score score = score_of(diagnosis.outcomes);
    rows.add({"health", "score",
              format("%s (%s)", base::number_text(score.overall).c_str(), score.verdict.c_str()),
              level(score.status)});
    for (const Headline &line : headlines(diagnosis.seen))
        rows.add({line.category, line.metric, line.value, status_of(diagnosis, line.check)});
    int critical = 0, warning = 0, unknown = 0;
    for (const Alert &alert : alerts_of(diagnosis)) {
        critical += alert.finding->status == Status::critical;
        warning += alert.finding->status == Status::warning;
        unknown += alert.finding->status == Status::unknown;
    }
    rows.add({"health", "alerts",
              format("%d critical, %d warning, %d not measured", critical, warning, unknown),
              level(critical  ? Status::critical
                    : warning ? Status::warning
                              : Status::ok)});
}

void check_system_health(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    const Thresholds thresholds = read_thresholds();
    for (const Outcome &outcome : diagnosis.outcomes) {
        rows.add({std::string(outcome.check->title), outcome_text(outcome),
                  text_or_null(threshold_text(outcome, thresholds)),
                  outcome.status == Status::ok        ? "healthy"
                  : outcome.status == Status::unknown ? "not measured"
                                                      : "needs attention",
                  level(outcome.status)});
    }
}

// What decides whether this database could be brought back: backups, WAL archiving, replication, integrity.
void recovery_health_check(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    for (const Outcome &outcome : diagnosis.outcomes)
        switch (outcome.check->category) {
        case Category::backup:
        case Category::wal:
        case Category::replication:
        case Category::integrity:
        case Category::wraparound:
        case Category::storage:
            rows.add({std::string(outcome.check->id), level(outcome.status), outcome_text(outcome)});
            break;
        default:
            break;
        }
}

} // namespace opsrunbook::health
