#pragma once
// When an alert fires, gets worse and is over.
//
// A problem must be there for `fire_after` observations in a row before its alert fires, be CRITICAL for as
// many before a fired WARNING escalates, and be gone for `clear_after` in a row before the alert is over.
// What could not be measured decides nothing: the alert of that object, or all alerts of a check that told
// nothing, stay as they are.  A muted problem is followed in silence; if it is still there when the mute
// ends, it is announced then.

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "health/check.hpp"

namespace opsrunbook::health {

struct AlertRules {
    int fire_after = 2;
    int clear_after = 2;
};

// One problem of this observation.
struct SeenAlert {
    std::string check;
    std::string object;
    Status severity = Status::warning; // or critical
    std::string message;
    std::optional<double> value, threshold;
    std::string fix;
    bool muted = false;
};

struct Observation {
    std::vector<SeenAlert> seen;
    // Check and object; of a check without an object: all of its objects.
    std::set<std::pair<std::string, std::string>> unmeasured;
};

Observation observation_of(const std::vector<Outcome> &outcomes);

// What is remembered of a problem between observations.
struct AlertState {
    std::string check;
    std::string object;
    Status severity = Status::warning; // the worst announced, or the latest when nothing was announced yet
    std::string message;
    std::string since; // when it was first observed, as text
    int bad = 0;       // observations in a row that found it
    int critical = 0;  // observations in a row that found it CRITICAL
    int good = 0;      // observations in a row that did not find it
    bool fired = false;
    bool notified = false;
};

enum class AlertEvent { fired, escalated, cleared };
std::string_view event_text(AlertEvent event);

struct Announcement {
    AlertEvent event;
    AlertState state;
    std::optional<SeenAlert> seen; // nothing when cleared
};

struct AlertDecision {
    std::vector<AlertState> keep;
    std::vector<AlertState> drop;
    std::vector<Announcement> announcements;
    int count(AlertEvent event) const;
};

// Seen alerts of the same check and object count as one, the worst.  now: as text, the `since` of new ones.
AlertDecision decide_alerts(const std::vector<AlertState> &before, const Observation &observation,
                            const AlertRules &rules, const std::string &now);

} // namespace opsrunbook::health
