#include "health/health.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "health/diagnosis.hpp"
#include "health/score.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::Value;

Value text_or_null(const std::string &text)
{
    return text.empty() ? Value() : Value(text);
}

std::string level(Status status)
{
    return std::string(status_text(status));
}

double rounded(double value)
{
    return std::round(value * 100) / 100;
}

// "a has 5 dead tuples (-25); b is old (-10); and 2 more"
std::string lost_text(const CategoryScore &category)
{
    constexpr size_t shown = 3;
    std::vector<std::string> parts;
    for (const Lost &lost : category.lost)
        if (parts.size() < shown)
            parts.push_back(
                format("%s (-%s)", lost.finding->message.c_str(), base::number_text(lost.points).c_str()));
    std::string text = base::join(parts, "; ");
    if (category.lost.size() > shown)
        text += format("; and %zu more", category.lost.size() - shown);
    return text;
}

// The loss that costs the overall score most.
const Lost *worst_loss(const Score &score)
{
    const Lost *worst = nullptr;
    double most = 0;
    for (const CategoryScore &category : score.categories)
        for (const Lost &lost : category.lost)
            if (lost.points * category.weight > most) {
                most = lost.points * category.weight;
                worst = &lost;
            }
    return worst;
}

std::string overall_finding(const Score &score, const Lost *worst)
{
    if (score.lethal)
        return format("capped at %.0f (would be %s): %s", lethal_cap,
                      base::number_text(score.before_cap).c_str(), score.lethal->message.c_str());
    if (score.status == Status::unknown)
        return "nothing could be measured";
    return worst ? worst->finding->message : "nothing found";
}

int severity_rank(Status status)
{
    return status == Status::critical ? 0 : status == Status::warning ? 1 : 2;
}

// Alerts: WARNING or worse, and what could not be measured.
std::vector<const Finding *> alerts_of(const Diagnosis &diagnosis)
{
    std::vector<const Finding *> alerts;
    for (const Outcome &outcome : diagnosis.outcomes)
        for (const Finding &finding : outcome.findings)
            alerts.push_back(&finding);
    std::stable_sort(alerts.begin(), alerts.end(), [](const Finding *a, const Finding *b) {
        return severity_rank(a->status) < severity_rank(b->status);
    });
    return alerts;
}

std::string outcome_text(const Outcome &outcome)
{
    if (outcome.findings.empty())
        return outcome.checked.empty() ? "fine" : outcome.checked;
    const std::string first = outcome.findings.front().message;
    return outcome.findings.size() == 1
               ? first
               : format("%s (and %zu more)", first.c_str(), outcome.findings.size() - 1);
}

std::string metric_of(const Check &check)
{
    return std::string(check.metric.empty() ? check.id : check.metric);
}

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

void add_finding(pg::Rows &rows, const Check &check, const Finding &finding, const std::string &checked)
{
    rows.add({std::string(check.id), std::string(category_text(check.category)), level(finding.status),
              text_or_null(finding.object), text_or_null(metric_of(check)), finding.value, finding.threshold,
              std::string(check.unit), text_or_null(finding.message), Value(), finding.evidence.json(),
              text_or_null(finding.cause), text_or_null(finding.fix), text_or_null(finding.undo),
              text_or_null(checked)});
}

} // namespace

void calculate_database_health_score(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    const Score score = score_of(diagnosis.outcomes);
    const Lost *worst = worst_loss(score);
    const Finding *headline = score.lethal ? score.lethal : worst ? worst->finding : nullptr;
    rows.add({"overall", rounded(score.overall), 1.0, score.verdict, rounded(100 - score.overall),
              overall_finding(score, worst), headline ? text_or_null(headline->fix) : Value()});
    for (const CategoryScore &category : score.categories) {
        const std::string name(category_text(category.category));
        if (category.status == Status::unknown) {
            rows.add({name, Value(), 0.0, level(Status::unknown), 0.0, "not measured: " + category.unmeasured,
                      Value()});
            continue;
        }
        rows.add({name, rounded(category.score), rounded(category.weight), level(category.status),
                  rounded(category.weight * (100 - category.score)), text_or_null(lost_text(category)),
                  category.lost.empty() ? Value() : text_or_null(category.lost.front().finding->fix)});
    }
}

void detect_performance_bottlenecks(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    std::vector<std::pair<const Check *, const Finding *>> found;
    for (const Outcome &outcome : diagnosis.outcomes)
        if (outcome.check->bottleneck)
            for (const Finding &finding : outcome.findings)
                if (finding.status != Status::unknown)
                    found.emplace_back(outcome.check, &finding);
    std::stable_sort(found.begin(), found.end(), [](const auto &a, const auto &b) {
        if (severity_rank(a.second->status) != severity_rank(b.second->status))
            return severity_rank(a.second->status) < severity_rank(b.second->status);
        return a.second->impact_pct.value_or(0) > b.second->impact_pct.value_or(0);
    });
    for (const auto &[check, finding] : found)
        rows.add({std::string(check->id), level(finding->status), text_or_null(finding->object),
                  finding->message, finding->impact_pct, finding->evidence.json(), std::string(check->title),
                  text_or_null(finding->fix)});
}

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
    for (const Finding *alert : alerts_of(diagnosis)) {
        critical += alert->status == Status::critical;
        warning += alert->status == Status::warning;
        unknown += alert->status == Status::unknown;
    }
    rows.add({"health", "alerts",
              format("%d critical, %d warning, %d not measured", critical, warning, unknown),
              level(critical  ? Status::critical
                    : warning ? Status::warning
                              : Status::ok)});
}

void check_alerts(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    for (const Finding *alert : alerts_of(diagnosis))
        rows.add({level(alert->status), metric_of(*find_check(alert->check_id)), alert->value,
                  alert->threshold, alert->message, text_or_null(alert->object), Value(),
                  text_or_null(alert->fix)});
}

void check_system_health(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    for (const Outcome &outcome : diagnosis.outcomes) {
        const Check &check = *outcome.check;
        std::string threshold;
        if (check.warning)
            threshold = format("%s %s", std::string(direction_text(check.direction)).c_str(),
                               base::number_text(*check.warning).c_str());
        if (check.critical)
            threshold +=
                format("%s%s", threshold.empty() ? "" : " / ", base::number_text(*check.critical).c_str());
        if (!threshold.empty() && !check.unit.empty())
            threshold += " " + std::string(check.unit);
        rows.add({std::string(check.title), outcome_text(outcome), text_or_null(threshold),
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

void findings(const pg::Arguments &arguments, pg::Rows &rows)
{
    const base::Value::Texts ids = arguments.value(0).texts();
    const bool include_ok = arguments.boolean(1);
    const Diagnosis diagnosis = diagnose(ids);
    for (const Outcome &outcome : diagnosis.outcomes) {
        for (const Finding &finding : outcome.findings)
            add_finding(rows, *outcome.check, finding, "");
        if (outcome.findings.empty() && include_ok) {
            Finding fine;
            fine.message = outcome_text(outcome);
            add_finding(rows, *outcome.check, fine, outcome.checked);
        }
    }
}

void list_checks(const pg::Arguments &, pg::Rows &rows)
{
    for (const Check *check : registry())
        rows.add({std::string(check->id), std::string(check->title),
                  std::string(category_text(check->category)), check->points,
                  text_or_null(std::string(check->metric)), text_or_null(std::string(check->unit)),
                  check->metric.empty() ? Value() : Value(std::string(direction_text(check->direction))),
                  check->warning, check->critical, check->bottleneck, std::string(check->explanation),
                  std::string(check->source)});
}

} // namespace opsrunbook::health
