#pragma once
// Which indexes are worth the question whether anybody uses them.

#include <functional>
#include <unordered_map>
#include <vector>

#include "observed/index_usage.hpp"
#include "observed/relations.hpp"

namespace opsrunbook::advice {

struct UnusedCandidates {
    std::vector<const observed::Index *> indexes;     // a partitioned one with its parts, which tell its use
    std::unordered_map<observed::Oid, int64_t> bytes; // of each that would be dropped as one
};

// Users' indexes of tables that take `least_bytes`, a partitioned one with all its parts, without those whose
// last scan is known to lie within enough_days.  `parents` as in IndexUsage; `bytes_of` is asked for the size
// of the others.
UnusedCandidates unused_candidates(const observed::Relations &relations, const observed::OidMap &parents,
                                   base::Timestamp now, int64_t least_bytes,
                                   const std::function<int64_t(const observed::Index &)> &bytes_of);

} // namespace opsrunbook::advice
