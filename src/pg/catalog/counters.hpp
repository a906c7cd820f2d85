#pragma once
// The cumulative statistics of relations, entry by entry from shared memory.  For files of src/pg only.

#include <vector>

#include "observed/relations.hpp"

namespace opsrunbook::pg {

// How often pages of a relation were asked for, a measure of use for those that have no other counters.
struct RelationUse {
    const observed::Relation &relation;
    int64_t blocks = 0;
};

void read_relation_uses(std::vector<RelationUse> &uses);
void read_table_counters(std::vector<observed::Table> &tables);
void read_index_counters(std::vector<observed::Index> &indexes);

} // namespace opsrunbook::pg
