#pragma once
// Indexes behind foreign keys, for the look at the referencing rows that a DELETE or UPDATE of a referenced
// row takes.

#include <vector>

#include "advice/indexes/identity.hpp"
#include "observed/relations.hpp"

namespace opsrunbook::advice {

// The key's columns are the index's first ones, in any order, and the index holds every row.
bool supports(const observed::Relations &relations, const observed::Index &index,
              const observed::Constraint &key);

// Foreign keys of users' tables without an index, each set of columns of a table once.
std::vector<const observed::Constraint *> unindexed_foreign_keys(const observed::Relations &relations);

// The indexes that a foreign key would miss, one a foreign key: where several would do, one that a constraint
// keeps anyway, else the smallest.
observed::OidMap foreign_key_supporters(const observed::Relations &relations);

} // namespace opsrunbook::advice
