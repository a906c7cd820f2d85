#pragma once
// What autovacuum's workers are about.

#include <string>

#include "observed/server.hpp"

namespace opsrunbook::health {

// Whether there is none left for another table.
bool all_workers_busy(const observed::Server &server);
std::string more_from_the_workers(const observed::Server &server); // what would make them come round sooner

} // namespace opsrunbook::health
