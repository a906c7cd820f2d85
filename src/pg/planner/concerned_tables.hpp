#pragma once
// Which statements hidden indexes concern: those on their tables, or on what these are partitions or children
// of. All others are planned as if we were not there.  Server regime.

#include "pg/postgres.hpp"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace opsrunbook::pg {

void forget_concerned_tables();
void add_concerned_tables(Oid index);
bool is_concerned_table(Oid table);

// May say yes to a statement that turns out not to be concerned.  Of one wrongly not noticed, no index is
// hidden.
bool may_be_concerned(Query *query);

} // namespace opsrunbook::pg
