#pragma once
// The SQL functions about bloat and index efficiency; bloat.sql says what each returns.

#include "observed/bloat.hpp"
#include "observed/relations.hpp"
#include "pg/arguments.hpp"
#include "pg/rows.hpp"

namespace opsrunbook::advice {

void measure_bloat_of(const pg::Arguments &arguments,
                      pg::Rows &rows);                               // (relation regclass, max_pages integer)
void estimate_bloat(const pg::Arguments &arguments, pg::Rows &rows); // (page_budget integer)
void analyze_index_efficiency(const pg::Arguments &arguments, pg::Rows &rows); // (page_budget integer)

// For the health checks: only relations of 1 GB and more, a few pages of each, within some 50 ms.  Those that
// the time did not suffice for come back unmeasured, with that reason.
std::vector<observed::Bloat> observe_bloat(const observed::Relations &relations);

} // namespace opsrunbook::advice
