#include "health/alerting/mutes.hpp"

#include <algorithm>

#include "base/error.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;

constexpr std::string_view watcher = "mute_hides_worse";
constexpr double longest_mute = 366.0 * 24 * 3600; // seconds: a year, leap or not

int badness(Status status)
{
    switch (status) {
    case Status::critical:
        return 3;
    case Status::warning:
        return 2;
    case Status::unknown:
        return 1;
    case Status::ok:
        break;
    }
    return 0;
}

bool covers(const std::string &pattern, const Finding &finding)
{
    return glob_matches(pattern, finding.object);
}

void settle(Outcome &outcome)
{
    if (!outcome.findings.empty())
        outcome.status = outcome.findings.front().status;
    else if (!outcome.muted.empty() && outcome.muted.front().status == Status::unknown)
        outcome.status = Status::unknown; // a mute does not make it measured
    else
        outcome.status = Status::ok;
}

void mute_outcome(Outcome &outcome, const Mute &mute)
{
    const auto first =
        std::stable_partition(outcome.findings.begin(), outcome.findings.end(),
                              [&mute](const Finding &finding) { return !covers(mute.object, finding); });
    for (auto finding = first; finding != outcome.findings.end(); ++finding) {
        finding->mute = format("muted by %s until %s: %s", mute.set_by.c_str(), mute.until_text.c_str(),
                               mute.reason.c_str());
        outcome.muted.push_back(std::move(*finding));
    }
    outcome.findings.erase(first, outcome.findings.end());
    std::stable_sort(outcome.muted.begin(), outcome.muted.end(), [](const Finding &a, const Finding &b) {
        return badness(a.status) > badness(b.status);
    });
    settle(outcome);
}

// Who mutes a WARNING, or ahead of planned work, does not mean a CRITICAL.
std::optional<Finding> hidden_worse(const Outcome &outcome, const Mute &mute)
{
    if (mute.severity == Status::critical)
        return std::nullopt;
    const Finding *worst = nullptr;
    int hidden = 0;
    for (const Finding &finding : outcome.muted)
        if (finding.status == Status::critical && covers(mute.object, finding)) {
            ++hidden;
            worst = worst ? worst : &finding;
        }
    if (!worst)
        return std::nullopt;
    const std::string then(status_text(mute.severity));
    Finding finding;
    finding.check_id = watcher;
    finding.status = Status::warning;
    finding.object = mute.check + " " + mute.object;
    finding.message = format("the mute of check %s for object %s, set by %s when it was %s, hides what is "
                             "CRITICAL now: %s",
                             mute.check.c_str(), mute.object.c_str(), mute.set_by.c_str(), then.c_str(),
                             worst->message.c_str());
    finding.evidence.add("check", mute.check)
        .add("object", mute.object)
        .add("set_by", mute.set_by)
        .add("reason", mute.reason)
        .add("until", mute.until_text)
        .add("severity_when_set", then)
        .add("critical_now", hidden);
    const std::string arguments = base::quote_literal(mute.check) + ", " + base::quote_literal(mute.object);
    finding.fix = format("SELECT opsrunbook.unmute_alert(%s);", arguments.c_str());
    finding.undo =
        format("SELECT opsrunbook.mute_alert(%s, %s, %s);", arguments.c_str(),
               base::quote_literal(mute.until_text).c_str(), base::quote_literal(mute.reason).c_str());
    return finding;
}

} // namespace

void apply_mutes(std::vector<Outcome> &outcomes, const std::vector<Mute> &mutes, base::Timestamp now)
{
    std::vector<Finding> worse;
    for (Outcome &outcome : outcomes)
        for (const Mute &mute : mutes)
            if (mute.check == outcome.check->id && mute.check != watcher && now < mute.until) {
                mute_outcome(outcome, mute);
                if (std::optional<Finding> finding = hidden_worse(outcome, mute))
                    worse.push_back(std::move(*finding));
            }
    for (Outcome &outcome : outcomes) {
        if (outcome.check->id != watcher)
            continue;
        std::move(worse.begin(), worse.end(), std::back_inserter(outcome.findings));
        settle(outcome);
        for (const Mute &mute : mutes)
            if (mute.check == watcher && now < mute.until)
                mute_outcome(outcome, mute);
    }
}

Status worst_covered(const std::vector<Outcome> &outcomes, const std::string &check,
                     const std::string &object)
{
    Status worst = Status::ok;
    for (const Outcome &outcome : outcomes) {
        if (outcome.check->id != check)
            continue;
        for (const std::vector<Finding> *findings : {&outcome.findings, &outcome.muted})
            for (const Finding &finding : *findings)
                if (covers(object, finding) && badness(finding.status) > badness(worst))
                    worst = finding.status;
    }
    return worst;
}

void require_valid_mute(const std::string &reason, std::optional<base::Timestamp> until, base::Timestamp now)
{
    if (reason.find_first_not_of(" \t\r\n") == std::string::npos)
        throw Error(ErrorKind::invalid_input, "a mute needs a reason", "",
                    "Give one, for example reason => 'disk order 4711, arrives on Friday': the next on call "
                    "reads it.");
    if (!until || *until <= now)
        throw Error(ErrorKind::invalid_input, "a mute must end in the future", "",
                    "Give an end, for example until => now() + interval '4 hours'.");
    if ((*until - now).seconds() > longest_mute)
        throw Error(ErrorKind::invalid_input, "a mute cannot last longer than a year", "",
                    "For an exception that stays, INSERT a threshold for the object into "
                    "performance.alert_thresholds.");
}

} // namespace opsrunbook::health
