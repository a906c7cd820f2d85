#pragma once
// What verifying tables and their indexes with amcheck found.

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/value.hpp"

namespace opsrunbook::observed {

struct DamagedTable {
    std::string name;  // qualified and quoted
    bool heap = false; // of the table itself; otherwise of indexes only
    std::string damage;
    base::Timestamp found_at;
};

// For checks.
struct Verification {
    std::vector<DamagedTable> damaged;
    int64_t tables = 0;                // verified ever, and still there
    std::optional<double> oldest_days; // since the one that was verified longest ago
    std::string oldest;
};

// For the planner.
struct Verified {
    double days = 0; // ago
    bool damaged = false;
};
using VerifiedTables = std::unordered_map<uint32_t, Verified>;

} // namespace opsrunbook::observed
