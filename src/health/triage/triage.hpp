#pragma once
// Live triage: who does what right now, and how to make it stop.  triage.sql says what each returns.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::health {

void list_blocking_tree(const pg::Arguments &, pg::Rows &rows);
void kill_long_queries(const pg::Arguments &arguments, pg::Rows &rows);      // (minutes)
void reset_idle_connections(const pg::Arguments &arguments, pg::Rows &rows); // (idle_minutes, in transaction)
void optimize_cache(const pg::Arguments &, pg::Rows &rows);
void enter_maintenance_mode(const pg::Arguments &arguments, pg::Rows &rows); // (reason, terminate_writers)
base::Value exit_maintenance_mode(const pg::Arguments &);

} // namespace opsrunbook::health
