#pragma once
// The server's own time zones, for schedules.

#include <string>

#include "maintenance/schedule/next_run.hpp"

namespace opsrunbook::pg {

// Null when the server knows no zone of this name.  Valid as long as the process lives.
const maintenance::TimeZone *time_zone(const std::string &name);
std::string session_time_zone_name();

} // namespace opsrunbook::pg
