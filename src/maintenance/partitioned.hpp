#pragma once
// Partitioned tables whose statistics are missing or stale.  Autovacuum analyzes the partitions and never the
// whole, which queries over several partitions are planned with.

#include <vector>

#include "maintenance/autovacuum_rules.hpp"

namespace opsrunbook::maintenance {

struct StalePartitioned {
    const observed::Relation *relation = nullptr;
    double rows = 0; // of all its partitions at any depth
    double heap_bytes = 0;
    int64_t seq_scans = 0, index_scans = 0; // of its partitions
    int32_t partitions = 0;                 // that are tables
    bool never_analyzed = false;
    base::Timestamp partitions_analyzed; // when the first of them was, of those that were; 0: none was
};

// Permanent partitioned tables that were never analyzed though their partitions hold rows, or whose count of
// rows is off by more than autovacuum's own threshold for tables.
std::vector<StalePartitioned> stale_partitioned(const observed::Relations &relations,
                                                const AutovacuumSettings &settings);

} // namespace opsrunbook::maintenance
