#pragma once
// The SQL functions of this room; retention.sql says what each returns.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::maintenance {

base::Value set_retention(const pg::Arguments &);
base::Value drop_retention(const pg::Arguments &);
base::Value drop_retention_by_name(const pg::Arguments &);
base::Value reason_against_by_oids(const pg::Arguments &); // of a policy or rule: standing.hpp
void apply_retention(const pg::Arguments &, pg::Rows &rows);
void run_retention(const pg::Arguments &);
base::Value cleanup_old_user_events(const pg::Arguments &);
base::Value cleanup_maintenance_history(const pg::Arguments &);

base::Value add_orphan_rule(const pg::Arguments &);
base::Value remove_orphan_rule(const pg::Arguments &);
void cleanup_orphaned_images(const pg::Arguments &, pg::Rows &rows);
void run_orphan_cleanup(const pg::Arguments &);

} // namespace opsrunbook::maintenance
