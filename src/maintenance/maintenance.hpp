#pragma once
// The SQL functions of this room; maintenance.sql says what each returns.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::maintenance {

void run_automated_maintenance(const pg::Arguments &, pg::Rows &rows);
void get_maintenance_status(const pg::Arguments &, pg::Rows &rows);
base::Value auto_schedule_maintenance(const pg::Arguments &);
base::Value optimize_database(const pg::Arguments &);
base::Value update_table_statistics(const pg::Arguments &);
void perform_routine_maintenance(const pg::Arguments &, pg::Rows &rows);
void perform_maintenance(const pg::Arguments &, pg::Rows &rows);

void run_maintenance(const pg::Arguments &arguments);                  // (window interval), a procedure
void plan_maintenance(const pg::Arguments &arguments, pg::Rows &rows); // (window interval)
base::Value cancel_task(const pg::Arguments &arguments);               // (task_id bigint)

} // namespace opsrunbook::maintenance
