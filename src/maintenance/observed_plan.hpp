#pragma once
// plan_tasks() with what it takes to look at more than catalogs and counters.

#include "maintenance/plan.hpp"

namespace opsrunbook::maintenance {

// verify_interval_days: 0 plans no verification.  It reads everything, so it is for a time that was chosen,
// not for a SELECT at noon.
std::vector<PlannedTask> observed_plan(const observed::Relations &relations, const observed::Server &server,
                                       TaskFilter filter, int verify_interval_days);

} // namespace opsrunbook::maintenance
