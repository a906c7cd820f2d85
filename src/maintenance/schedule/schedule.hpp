#pragma once
// The SQL functions of the scheduler; schedule.sql says what each does.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::maintenance {

base::Value schedule(const pg::Arguments &arguments);
base::Value run_once(const pg::Arguments &arguments);
base::Value run_job_now(const pg::Arguments &arguments);
base::Value unschedule(const pg::Arguments &arguments);
base::Value enable_job(const pg::Arguments &arguments);
base::Value disable_job(const pg::Arguments &arguments);
base::Value enable_default_schedule(const pg::Arguments &arguments);
base::Value disable_default_schedule(const pg::Arguments &arguments);
void next_runs(const pg::Arguments &arguments, pg::Rows &rows);
void list_jobs(const pg::Arguments &arguments, pg::Rows &rows);

} // namespace opsrunbook::maintenance
