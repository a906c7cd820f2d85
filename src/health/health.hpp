#pragma once
// The SQL functions of this room; health.sql says what each returns.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::health {

void calculate_database_health_score(const pg::Arguments &, pg::Rows &rows);
void detect_performance_bottlenecks(const pg::Arguments &, pg::Rows &rows);
void generate_performance_report(const pg::Arguments &, pg::Rows &rows);
void dashboard(const pg::Arguments &, pg::Rows &rows);
void check_alerts(const pg::Arguments &, pg::Rows &rows);
void check_system_health(const pg::Arguments &, pg::Rows &rows);
void recovery_health_check(const pg::Arguments &, pg::Rows &rows);
void findings(const pg::Arguments &arguments, pg::Rows &rows); // (check_ids text[], include_ok boolean)
void list_checks(const pg::Arguments &, pg::Rows &rows);

} // namespace opsrunbook::health
