#pragma once
// The decisions behind the table of storage checks.

#include "health/check.hpp"

namespace opsrunbook::health {

// counters.cpp
void sequence_exhaustion(const Observations &seen, Judge &judge);
void int4_primary_key(const Observations &seen, Judge &judge);

// table_shapes.cpp
void tables_without_primary_key(const Observations &seen, Judge &judge);
void unlogged_tables(const Observations &seen, Judge &judge);
void replica_identity(const Observations &seen, Judge &judge);
void not_valid_constraints(const Observations &seen, Judge &judge);
void default_partition(const Observations &seen, Judge &judge);
void orphan_temp_tables(const Observations &seen, Judge &judge);

} // namespace opsrunbook::health
