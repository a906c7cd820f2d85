#pragma once
// The SQL functions of alerting; alerting.sql says what each returns.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::health {

base::Value add_check(const pg::Arguments &arguments);
base::Value remove_check(const pg::Arguments &arguments); // (name)
base::Value mute_alert(const pg::Arguments &arguments);   // (check_id, object, until, reason)
base::Value unmute_alert(const pg::Arguments &arguments); // (check_id, object)
void observe_alerts(const pg::Arguments &, pg::Rows &rows);

} // namespace opsrunbook::health
