#pragma once
// The end of a trial that nobody regretted: DROP INDEX CONCURRENTLY, as a maintenance task of its own run.
//
// The statement may wait for its lock for long.  From when its task is written until that has ended the trial
// cannot be ended otherwise, so that the record says what came of the index.  Who writes the task and who
// ends the trial lock it first and look then.

#include <optional>

#include "base/value.hpp"

namespace opsrunbook::advice {

void lock_trial(uint32_t index);                      // until the end of the transaction
std::optional<int64_t> dropping_task(uint32_t index); // the task that drops it now, while its worker is there

// An error unless the index's trial is over and was never cut short, and the index is still the one hidden.
struct FinishedTrial {
    int64_t id;
    std::string name, undo;
    uint32_t table;
};
FinishedTrial check_finished_trial(uint32_t index);

base::Value start_drop(uint32_t index); // starts the worker; the id of its run

} // namespace opsrunbook::advice
