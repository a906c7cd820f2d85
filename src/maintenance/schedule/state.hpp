#pragma once
// What the scheduler is about to do, for get_maintenance_status().

#include <optional>
#include <string>
#include <vector>

#include "maintenance/schedule/job_book.hpp"

namespace opsrunbook::maintenance {

struct SchedulerState {
    bool running = false;                    // its launcher lives
    std::optional<base::Timestamp> next_run; // of any enabled job of this database
    std::string next_job;                    // its name
};
SchedulerState scheduler_state();

// When a job runs next as things stand: not before `now`, with jitter and retries.  Nothing: disabled, done,
// or waiting for another job.
std::optional<base::Timestamp> next_run_of(const BookedJob &job, base::Timestamp now);

} // namespace opsrunbook::maintenance
