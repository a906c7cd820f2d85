#pragma once
// Measures one relation's bloat by reading some of its pages.

#include <cstdint>

#include "observed/bloat.hpp"

namespace opsrunbook::advice {

struct SamplingLimits {
    uint64_t whole = 2000;     // a relation of so many pages is read completely
    uint64_t first_look = 400; // pages that tell how many more are needed
    uint64_t most = 3000;      // pages of one relation
    double half_width = 0.7;   // of the interval, in points: where reading more stops
    uint64_t looked_up = 4000; // rows of an index looked up in its table, about

    SamplingLimits within(uint64_t pages) const; // nothing above `pages`
};

// Never waits for a lock; what cannot be measured comes back with the reason.
observed::Bloat measure_bloat(uint32_t relation, const SamplingLimits &limits = {});

} // namespace opsrunbook::advice
