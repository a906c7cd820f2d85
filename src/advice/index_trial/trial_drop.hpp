#pragma once
// The end of a trial that nobody regretted: DROP INDEX CONCURRENTLY, as a maintenance task of its own run.

#include "base/value.hpp"

namespace opsrunbook::advice {

// An error unless the index's trial is over and was never cut short, and the index is still the one hidden.
struct FinishedTrial {
    int64_t id;
    std::string name, undo;
    uint32_t table;
};
FinishedTrial check_finished_trial(uint32_t index);

base::Value start_drop(uint32_t index); // starts the worker; the id of its run

} // namespace opsrunbook::advice
