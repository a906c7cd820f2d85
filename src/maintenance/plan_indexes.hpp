#pragma once
// The part of the plan that is about indexes: those that are invalid or bloated are rebuilt, those that an
// interrupted REINDEX CONCURRENTLY left behind are removed.

#include "maintenance/plan.hpp"

namespace opsrunbook::maintenance {

void plan_indexes(const observed::Relations &relations, const observed::Server &server,
                  const std::vector<observed::Bloat> &index_bloat, std::vector<PlannedTask> &tasks);

} // namespace opsrunbook::maintenance
