#pragma once
// The scheduler and the jobs that do not get done.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/value.hpp"

namespace opsrunbook::observed {

struct FailedJob {
    std::string name;
    int64_t failed_runs =
        0; // in a row, up to the newest; retries count with their run, one still to come not at all
    std::optional<base::Timestamp> since; // when the first of them ended
    int64_t run_id = 0;                   // the newest
    std::string message;                  // of it
    std::string problem;                  // why the job cannot be scheduled at all; empty: it can
};

// An enabled job whose command calls amcheck.
struct VerifyingJob {
    std::string name;
    double days_since = 0;  // since its last run that completed, or since it was scheduled
    bool completed = false; // ever
};

struct Jobs {
    int64_t enabled = 0;
    bool scheduler_running = false;
    int64_t failing = 0;           // of the enabled ones
    std::vector<FailedJob> failed; // those with most failed runs first, and not all when they are many
    std::vector<VerifyingJob> verifying;
};

} // namespace opsrunbook::observed
