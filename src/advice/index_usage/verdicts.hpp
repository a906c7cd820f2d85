#pragma once
// Which indexes nobody uses, and which of those can go.

#include <optional>
#include <string>
#include <vector>

#include "observed/index_usage.hpp"
#include "observed/relations.hpp"

namespace opsrunbook::advice {

// Shorter than this, a month's last day may not have been in it.
constexpr double enough_days = 35;
// After a reset of the counters, the time since the last look at them that may have gone unseen.
constexpr double unseen_days = 2;

struct UsageVerdict {
    const observed::Index *index = nullptr;
    int64_t scans = 0; // of a partitioned index: of its parts
    std::optional<base::Timestamp> quiet_since;
    bool droppable = false;
    std::string reason;
};

// The partitioned index that it is a part of, at any depth; without one, itself.
observed::Oid root_of(const observed::OidMap &parents, observed::Oid index);

// The last scan is known (from PostgreSQL 16 on), and not enough_days ago.
bool scanned_lately(const observed::Index &index, base::Timestamp now);

// Since when nothing scanned it; nothing: not known.
std::optional<base::Timestamp> quiet_since(const observed::Index &index, const observed::IndexUsage &usage);

// Users' indexes without a scan since the counters began, or for at least enough_days.  `among`: these alone;
// the usage must know their past.
std::vector<UsageVerdict> unused_indexes(const observed::Relations &relations,
                                         const observed::IndexUsage &usage,
                                         const std::vector<const observed::Index *> &among);

} // namespace opsrunbook::advice
