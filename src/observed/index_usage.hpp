#pragma once
// How long indexes have been watched, and what is known of their use before the counters' last reset.

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/value.hpp"
#include "observed/oid_map.hpp"

namespace opsrunbook::observed {

// One row of opsrunbook.index_usage_history: a counter that stood still from one look to the last.
struct UsageRecord {
    base::Timestamp counted_from; // the counter's start: a reset, or the server's first day
    base::Timestamp observed_from, observed_until;
    int64_t scans = 0;
};

struct IndexPast {
    std::optional<base::Timestamp> file_created; // by CREATE, REINDEX, a rewrite or a restore
    std::vector<UsageRecord> records;            // the newest counter first
    std::string standby_use = {}; // "replica (last on ...)": declared standbys that used it within 35 days
};

struct IndexUsage {
    base::Timestamp now;
    bool in_recovery = false;
    std::optional<base::Timestamp> counted_since; // nothing: not known
    std::vector<std::string> standbys;            // streaming from here, not declared: their use is not known
    std::vector<std::string> silent_standbys;     // declared ones without counts of the last two days
    std::unordered_map<Oid, IndexPast> past;
    OidMap parents; // index of a partition -> index of its parent
};

} // namespace opsrunbook::observed
