#pragma once
// The SQL functions about bloat and index efficiency; bloat.sql says what each returns.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::advice {

void measure_bloat_of(const pg::Arguments &arguments,
                      pg::Rows &rows);                               // (relation regclass, max_pages integer)
void estimate_bloat(const pg::Arguments &arguments, pg::Rows &rows); // (page_budget integer)
void analyze_index_efficiency(const pg::Arguments &arguments, pg::Rows &rows); // (page_budget integer)

} // namespace opsrunbook::advice
