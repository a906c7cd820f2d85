#include "health/health.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "health/presentation.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::Value;

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

void add_finding(pg::Rows &rows, const Check &check, const Finding &finding, const std::string &checked)
{
    rows.add({std::string(check.id), std::string(category_text(check.category)), level(finding.status),
              text_or_null(finding.object), text_or_null(metric_of(check)), finding.value, finding.threshold,
              std::string(check.unit), text_or_null(finding.message), finding.since, finding.evidence.json(),
              text_or_null(finding.cause), text_or_null(finding.fix), text_or_null(finding.undo),
              text_or_null(checked), !finding.mute.empty(), text_or_null(finding.mute)});
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

void check_alerts(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    for (const auto &[check, finding] : alerts_of(diagnosis))
        rows.add({level(finding->status), metric_of(*check), finding->value, finding->threshold,
                  finding->message, text_or_null(finding->object), finding->since,
                  text_or_null(finding->fix)});
}

void findings(const pg::Arguments &arguments, pg::Rows &rows)
{
    const base::Value::Texts ids = arguments.value(0).texts();
    const bool include_ok = arguments.boolean(1);
    const Diagnosis diagnosis = diagnose(ids);
    for (const Outcome &outcome : diagnosis.outcomes) {
        for (const Finding &finding : outcome.findings)
            add_finding(rows, *outcome.check, finding, "");
        for (const Finding &finding : outcome.muted)
            add_finding(rows, *outcome.check, finding, "");
        if (outcome.findings.empty() && outcome.muted.empty() && include_ok) {
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
