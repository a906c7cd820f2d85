#pragma once
// Retention policies as tasks of a run: rows that may go are read, vacuumed and backed up until they do.

#include "maintenance/plan.hpp"

namespace opsrunbook::maintenance {

void plan_retention(const observed::Relations &relations, const observed::Server &server,
                    const std::vector<ExpiredRows> &expired, std::vector<PlannedTask> &tasks);

} // namespace opsrunbook::maintenance
