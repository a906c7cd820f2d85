#pragma once
// An index as it is now, for starting a trial and for dropping after one.

#include <cstdint>

#include "advice/index_trial/policy.hpp"

namespace opsrunbook::advice {

struct SeenIndex {
    IndexFacts facts;
    std::string schema_name, index_name;
    uint32_t index = 0, table = 0;
    std::string definition; // CREATE INDEX, names qualified
    std::string undo;       // that, and what CREATE INDEX does not say: tablespace and comment
};

// 42704 when there is no such relation.
SeenIndex see_index(uint32_t index);

// The same, and an error when the index must not be hidden or dropped.
SeenIndex see_fit_index(uint32_t index);

} // namespace opsrunbook::advice
