#pragma once
// What the checks want to know of the schedule, in one query.

#include "observed/jobs.hpp"

namespace opsrunbook::maintenance {

observed::Jobs observe_jobs();

} // namespace opsrunbook::maintenance
