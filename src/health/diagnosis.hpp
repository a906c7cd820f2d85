#pragma once
// The one truth that scores, alerts, reports and findings are printed from.

#include <memory>
#include <string>
#include <vector>

#include "health/alerting/user_checks.hpp"
#include "health/check.hpp"
#include "observed/counters.hpp"

namespace opsrunbook::health {

struct Diagnosis {
    Observations seen;
    observed::CounterSample counters; // as the server has them; `seen` has those since an earlier sample
    std::vector<Outcome> outcomes;
    // The outcomes point into these and into the registry.
    std::vector<std::unique_ptr<const ListedUserCheck>> user_checks;
};

// Observes the server and runs the checks (all, or those named), the users' own too, and mutes what is muted.
// Reads only; works on a standby.
Diagnosis diagnose(const std::vector<std::string> &ids = {});

Thresholds read_thresholds();

} // namespace opsrunbook::health
