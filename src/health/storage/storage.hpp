#pragma once
// The SQL functions of this folder; storage.sql says what each returns.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::health {

void get_storage_usage_stats(const pg::Arguments &arguments, pg::Rows &rows);
base::Value record_storage_sizes(const pg::Arguments &arguments);

} // namespace opsrunbook::health
