#pragma once
// What a listener of opsrunbook_alert gets.

#include <string>

#include "health/alerting/hysteresis.hpp"

namespace opsrunbook::health {

// JSON in fewer than 8000 bytes, the server's limit: a long message is cut, a long fix left out (half a
// statement is worse than none).
std::string alert_payload(const Announcement &announcement);

} // namespace opsrunbook::health
