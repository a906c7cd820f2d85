#include "health/alerting/user_checks.hpp"

#include <algorithm>

#include "base/error.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;

constexpr double points = 50; // as opsrunbook.checks says; of the category's 100 that a CRITICAL takes off
constexpr int64_t longest_timeout_ms = 60000;

[[noreturn]] void refuse(std::string message, std::string hint, std::string detail = "")
{
    throw Error(ErrorKind::invalid_input, std::move(message), std::move(detail), std::move(hint));
}

bool blank(const std::string &text)
{
    return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

Check listed_as(const UserCheck &definition)
{
    Check check{};
    check.id = definition.name;
    check.title = definition.name;
    check.category = Category::user;
    check.points = points;
    check.metric = definition.name;
    check.unit = definition.unit;
    check.direction = definition.direction;
    check.warning = definition.warning;
    check.critical = definition.critical;
    check.explanation = definition.description;
    check.source = definition.sql;
    return check;
}

} // namespace

Direction parse_direction(const std::string &text)
{
    if (text == "above")
        return Direction::above;
    if (text == "below")
        return Direction::below;
    refuse(format("direction \"%s\" is not known", text.c_str()),
           "Use 'above' when a high value is bad, 'below' when a low one is.");
}

void require_valid(const UserCheck &check)
{
    if (blank(check.name))
        refuse("a check needs a name", "Name it after what it watches, for example 'low_stock'.");
    if (find_check(check.name))
        throw Error(ErrorKind::duplicate,
                    format("check \"%s\" is one of the extension's own", check.name.c_str()), "",
                    "Choose another name; opsrunbook.checks lists those taken.");
    if (blank(check.sql))
        refuse("a check needs a query", "Give a SELECT that returns one number.");
    if (!check.warning && !check.critical)
        refuse("a check needs a warning or a critical threshold",
               "Give the value from which somebody should look.");
    if (check.warning && check.critical) {
        const bool above = check.direction == Direction::above;
        if (above ? *check.critical < *check.warning : *check.critical > *check.warning)
            refuse(format("critical threshold %s would be reached before warning threshold %s",
                          base::number_text(*check.critical).c_str(),
                          base::number_text(*check.warning).c_str()),
                   above ? "Give a critical threshold above the warning's, or direction => 'below'."
                         : "Give a critical threshold below the warning's, or direction => 'above'.");
    }
    if (check.timeout_ms < 1 || check.timeout_ms > longest_timeout_ms)
        refuse(format("timeout of %lld ms is out of range", static_cast<long long>(check.timeout_ms)),
               "Give 1 to 60000 ms: whoever looks at the health waits for it.");
}

ListedUserCheck::ListedUserCheck(UserCheck definition_)
    : definition(std::move(definition_)), check(listed_as(definition))
{
}

Outcome outcome_of(const ListedUserCheck &listed, const UserCheckResult &result)
{
    const UserCheck &definition = listed.definition;
    const Thresholds none; // the thresholds of a user's check are its own
    Judge judge(listed.check, none);
    if (!result.value) {
        judge.unknown(result.problem);
        judge.findings.back().fix =
            format("SELECT opsrunbook.remove_check(%s); -- and add it again, corrected",
                   base::quote_literal(definition.name).c_str());
    }
    else {
        const std::string number = base::number_text(*result.value);
        std::string text = format("%s is %s", definition.name.c_str(), number.c_str());
        if (!definition.unit.empty())
            text += " " + definition.unit;
        if (const std::optional<double> limit = judge.threshold(judge.level(*result.value)))
            text += format(" (%s %s)", std::string(direction_text(definition.direction)).c_str(),
                           base::number_text(*limit).c_str());
        judge.fine(format("%s is %s%s%s", definition.name.c_str(), number.c_str(),
                          definition.unit.empty() ? "" : " ", definition.unit.c_str()));
        if (!definition.description.empty())
            text += ": " + definition.description;
        if (Finding *finding = judge.measure(*result.value, "", text))
            finding->fix = definition.sql; // what to look at; only its author knows the remedy
    }
    for (Finding &finding : judge.findings)
        finding.evidence.add("sql", definition.sql);
    Outcome outcome{&listed.check, Status::ok, std::move(judge.findings), std::move(judge.checked)};
    if (!outcome.findings.empty())
        outcome.status = outcome.findings.front().status;
    outcome.scored = definition.in_score;
    return outcome;
}

} // namespace opsrunbook::health
