#pragma once

#include <vector>

#include "observed/index_usage.hpp"
#include "observed/relations.hpp"

namespace opsrunbook::pg {

// Index of a partition -> index of its parent.
observed::OidMap index_parents(const observed::Relations &relations);

// How long the counters have been counting, which standbys follow, how partitioned indexes hang together,
// and, of the given indexes, when the files of those without a scan were made and what
// opsrunbook.index_usage_history has of them under the same name and definition.  No lock on any of them.
// parents: index_parents() of the same relations.
observed::IndexUsage read_index_usage(const observed::Relations &relations,
                                      const std::vector<const observed::Index *> &indexes,
                                      observed::OidMap parents);

// Brings the history up to date with the counters of these indexes; how many there are.
int64_t record_index_usage(const observed::Relations &relations,
                           const std::vector<const observed::Index *> &indexes);

} // namespace opsrunbook::pg
