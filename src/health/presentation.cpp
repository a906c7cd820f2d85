#include "health/presentation.hpp"

#include <algorithm>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

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

std::vector<Alert> alerts_of(const Diagnosis &diagnosis)
{
    std::vector<Alert> alerts;
    for (const Outcome &outcome : diagnosis.outcomes)
        for (const Finding &finding : outcome.findings)
            alerts.push_back({outcome.check, &finding});
    std::stable_sort(alerts.begin(), alerts.end(), [](const Alert &a, const Alert &b) {
        return severity_rank(a.finding->status) < severity_rank(b.finding->status);
    });
    return alerts;
}

std::string outcome_text(const Outcome &outcome)
{
    if (outcome.findings.empty() && !outcome.muted.empty())
        return format("%s (%s)", outcome.muted.front().message.c_str(), outcome.muted.front().mute.c_str());
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

} // namespace opsrunbook::health
