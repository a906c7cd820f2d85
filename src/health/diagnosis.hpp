#pragma once
// The one truth that scores, alerts, reports and findings are printed from.

#include <string>
#include <vector>

#include "health/check.hpp"

namespace opsrunbook::health {

struct Diagnosis {
    Observations seen;
    std::vector<Outcome> outcomes;
};

// Observes the server and runs the checks (all, or those named).  Reads only; works on a standby.
Diagnosis diagnose(const std::vector<std::string> &ids = {});

Thresholds read_thresholds();

} // namespace opsrunbook::health
