#pragma once
// plan_tasks() with what it takes to look at more than catalogs and counters.

#include "maintenance/plan.hpp"

namespace opsrunbook::maintenance {

std::vector<PlannedTask> observed_plan(const observed::Relations &relations, const observed::Server &server,
                                       TaskFilter filter);

} // namespace opsrunbook::maintenance
