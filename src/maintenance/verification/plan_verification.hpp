#pragma once
// Which tables are due to be verified with amcheck.

#include "maintenance/plan.hpp"
#include "observed/verification.hpp"

namespace opsrunbook::maintenance {

// A table is due when it was never verified, longer ago than the interval, or when damage was found.  Its
// benefit is the reading it ought to get a day: its bytes and those of its indexes, divided by the interval.
// No more than most_in_a_plan at once, those that wait longest.
std::vector<PlannedTask> plan_verification(const observed::Relations &relations,
                                           const observed::VerifiedTables &verified, int interval_days);

constexpr size_t most_in_a_plan = 10000;

} // namespace opsrunbook::maintenance
