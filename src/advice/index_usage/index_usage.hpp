#pragma once
// The SQL functions about the use of indexes.

#include "base/value.hpp"
#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::advice {

void get_unused_indexes(const pg::Arguments &arguments, pg::Rows &rows);
void get_index_usage_stats(const pg::Arguments &arguments, pg::Rows &rows);
base::Value update_index_usage(const pg::Arguments &arguments);

} // namespace opsrunbook::advice
