#include "health/alerting/hysteresis.hpp"

#include <algorithm>
#include <map>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using Key = std::pair<std::string, std::string>; // check, object

std::map<Key, SeenAlert> worst_of_each(const std::vector<SeenAlert> &seen)
{
    std::map<Key, SeenAlert> worst;
    for (const SeenAlert &alert : seen) {
        const auto [place, is_new] = worst.try_emplace({alert.check, alert.object}, alert);
        SeenAlert &known = place->second;
        const bool louder = known.muted && !alert.muted; // what is not muted speaks for both
        const bool worse = alert.severity == Status::critical && known.severity != Status::critical;
        if (!is_new && (louder || (worse && known.muted == alert.muted)))
            known = alert;
    }
    return worst;
}

std::optional<AlertEvent> step_seen(AlertState &state, const SeenAlert &seen, const AlertRules &rules)
{
    ++state.bad;
    state.good = 0;
    state.critical = seen.severity == Status::critical ? state.critical + 1 : 0;
    state.message = seen.message;
    state.fired = state.fired || state.bad >= rules.fire_after;
    if (!state.notified) {
        state.severity = seen.severity;
        if (!state.fired || seen.muted)
            return std::nullopt;
        state.notified = true;
        return AlertEvent::fired;
    }
    if (state.severity == Status::critical || state.critical < rules.fire_after || seen.muted)
        return std::nullopt;
    state.severity = Status::critical;
    return AlertEvent::escalated;
}

// True: the alert is over, or never was one.
bool step_gone(AlertState &state, const AlertRules &rules)
{
    ++state.good;
    state.bad = state.critical = 0;
    return !state.fired || state.good >= rules.clear_after;
}

} // namespace

std::string_view event_text(AlertEvent event)
{
    switch (event) {
    case AlertEvent::fired:
        return "fired";
    case AlertEvent::escalated:
        return "escalated";
    case AlertEvent::cleared:
        break;
    }
    return "cleared";
}

int AlertDecision::count(AlertEvent event) const
{
    return static_cast<int>(
        std::count_if(announcements.begin(), announcements.end(),
                      [event](const Announcement &announcement) { return announcement.event == event; }));
}

Observation observation_of(const std::vector<Outcome> &outcomes)
{
    Observation observation;
    for (const Outcome &outcome : outcomes)
        for (const std::vector<Finding> *findings : {&outcome.findings, &outcome.muted})
            for (const Finding &finding : *findings) {
                if (finding.status != Status::unknown)
                    observation.seen.push_back({finding.check_id, finding.object, finding.status,
                                                finding.message, finding.value, finding.threshold,
                                                finding.fix, !finding.mute.empty()});
                else if (finding.unmeasured.empty())
                    observation.unmeasured.emplace(finding.check_id, finding.object);
                else
                    for (const std::string &object : finding.unmeasured)
                        observation.unmeasured.emplace(finding.check_id, object);
            }
    return observation;
}

AlertDecision decide_alerts(const std::vector<AlertState> &before, const Observation &observation,
                            const AlertRules &rules, const std::string &now)
{
    AlertDecision decision;
    std::map<Key, SeenAlert> open = worst_of_each(observation.seen);
    const auto measured = [&observation](const AlertState &state) {
        return !observation.unmeasured.contains({state.check, state.object}) &&
               !observation.unmeasured.contains({state.check, ""});
    };
    const auto follow = [&](AlertState state, const SeenAlert &alert) {
        if (const std::optional<AlertEvent> event = step_seen(state, alert, rules))
            decision.announcements.push_back({*event, state, alert});
        decision.keep.push_back(std::move(state));
    };
    for (AlertState state : before) {
        const auto found = open.find({state.check, state.object});
        if (found != open.end()) {
            follow(std::move(state), found->second);
            open.erase(found);
        }
        else if (!measured(state) || !step_gone(state, rules))
            decision.keep.push_back(std::move(state));
        else {
            if (state.notified)
                decision.announcements.push_back({AlertEvent::cleared, state, std::nullopt});
            decision.drop.push_back(std::move(state));
        }
    }
    for (const auto &[key, alert] : open) {
        AlertState state;
        state.check = alert.check;
        state.object = alert.object;
        state.since = now;
        follow(std::move(state), alert);
    }
    return decision;
}

} // namespace opsrunbook::health
