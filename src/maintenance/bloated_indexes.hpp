#pragma once
// Measures the indexes that may be worth rebuilding, for the planner.

#include "maintenance/plan.hpp"

namespace opsrunbook::maintenance {

// Btrees of 1 MB and more on tables whose rows were deleted or updated; within some 20,000 pages and two
// seconds, the most suspicious first.
std::vector<observed::Bloat> measure_worn_indexes(const observed::Relations &relations);

} // namespace opsrunbook::maintenance
