#pragma once
// The cumulative statistics of relations, entry by entry from shared memory.  For files of src/pg only.

#include <vector>

#include "observed/relations.hpp"

namespace opsrunbook::pg {

void read_table_counters(std::vector<observed::Table> &tables);
void read_index_counters(std::vector<observed::Index> &indexes);

} // namespace opsrunbook::pg
