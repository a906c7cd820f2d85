#pragma once
// How fast something grows, from its recorded sizes.

#include <optional>
#include <string>
#include <vector>

#include "base/value.hpp"

namespace opsrunbook::health {

struct RecordedSize {
    base::Timestamp at;
    int64_t bytes = 0;
};

struct Growth {
    std::optional<double> bytes_per_day; // negative: it shrank
    std::string note;                    // from when to when, or why it is not known
};

// The change from the oldest record of the last 30 days until now, over the days between.  Records of less
// than 12 hours say nothing of days.
Growth growth_of(const std::vector<RecordedSize> &records, int64_t bytes_now, base::Timestamp now);

} // namespace opsrunbook::health
