#include <algorithm>

#include "base/error.hpp"
#include "health/check.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

bool crossed(Direction direction, double value, double threshold)
{
    return direction == Direction::above ? value > threshold : value < threshold;
}

int rank(Status status)
{
    switch (status) {
    case Status::critical:
        return 0;
    case Status::warning:
        return 1;
    case Status::unknown:
        return 2;
    case Status::ok:
        break;
    }
    return 3;
}

} // namespace

std::string_view status_text(Status status)
{
    switch (status) {
    case Status::ok:
        return "OK";
    case Status::warning:
        return "WARNING";
    case Status::critical:
        return "CRITICAL";
    case Status::unknown:
        break;
    }
    return "UNKNOWN";
}

std::optional<double> Judge::threshold(Status status, const std::string &object) const
{
    const ThresholdRow *row = thresholds.find(check.metric, object);
    if (row && !row->enabled)
        return std::nullopt;
    if (status == Status::critical)
        return row ? row->critical : check.critical;
    return row ? row->warning : check.warning;
}

Status Judge::level(double value, const std::string &object) const
{
    const auto beyond = [&](Status status) {
        const std::optional<double> limit = threshold(status, object);
        return limit && crossed(check.direction, value, *limit);
    };
    return beyond(Status::critical)  ? Status::critical
           : beyond(Status::warning) ? Status::warning
                                     : Status::ok;
}

Finding &Judge::found(Status status, std::string object, std::string message)
{
    Finding finding;
    finding.check_id = check.id;
    finding.status = status;
    finding.object = std::move(object);
    finding.message = std::move(message);
    findings.push_back(std::move(finding));
    return findings.back();
}

Finding *Judge::measure(double value, const std::string &object, const std::string &message)
{
    const Status status = level(value, object);
    if (status == Status::ok)
        return nullptr;
    Finding &finding = found(status, object, message);
    finding.value = value;
    finding.threshold = threshold(status, object);
    return &finding;
}

void Judge::unknown(std::string reason, std::vector<std::string> objects)
{
    found(Status::unknown, "", std::move(reason)).unmeasured = std::move(objects);
}

void Judge::not_applicable(std::string reason)
{
    checked = std::move(reason);
    applies = false;
}

const Check *find_check(std::string_view id)
{
    for (const Check *check : registry())
        if (check->id == id)
            return check;
    return nullptr;
}

std::vector<Outcome> evaluate(const Observations &seen, const Thresholds &thresholds,
                              const std::vector<std::string> &ids)
{
    for (const std::string &id : ids)
        if (!find_check(id))
            throw base::Error(base::ErrorKind::undefined,
                              base::format("check \"%s\" does not exist", id.c_str()), "",
                              "SELECT id, title FROM opsrunbook.checks lists the checks there are, "
                              "opsrunbook.user_checks those that were added.");
    std::vector<Outcome> outcomes;
    for (const Check *check : registry()) {
        if (!ids.empty() && std::find(ids.begin(), ids.end(), check->id) == ids.end())
            continue;
        Judge judge(*check, thresholds);
        check->evaluate(seen, judge);
        std::stable_sort(judge.findings.begin(), judge.findings.end(),
                         [](const Finding &a, const Finding &b) { return rank(a.status) < rank(b.status); });
        Outcome outcome{check, Status::ok, std::move(judge.findings), std::move(judge.checked)};
        if (!outcome.findings.empty())
            outcome.status = outcome.findings.front().status;
        outcome.scored = judge.applies;
        outcomes.push_back(std::move(outcome));
    }
    return outcomes;
}

} // namespace opsrunbook::health
