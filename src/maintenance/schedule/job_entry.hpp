#pragma once
// One job's row as people write it: what is accepted, whose it is, how it is stored.  Each function works in
// the caller's transaction.

#include <optional>
#include <string>

#include "base/value.hpp"
#include "maintenance/schedule/next_run.hpp"

namespace opsrunbook::maintenance {

struct NewJob {
    std::string name, command, timezone, missed = "run_once", after;
    base::Value cron, run_at, timeout_seconds;
    int64_t max_retries = 0, retry_seconds = 60, jitter_seconds = 0;
    bool enabled = true;
    bool take_over = false; // one of that name becomes the caller's, if he may change it
};

struct ExistingJob {
    int64_t id;
    std::string role;
};

std::optional<ExistingJob> find_job(const std::string &name); // and locks its row

// Raises not_allowed unless the caller is the role that scheduled the job, or a superuser.
void require_own(const std::string &name, const ExistingJob &job);

// A new job, or an own one of that name replaced; raises what is wrong with it.  Returns the id.
int64_t write_job(const NewJob &job);

// The role that has the name of the job's role now is the one it runs as.
void note_role(int64_t id);

void warn_unless_running();

// Raise invalid_input.
void require_range(const char *what, int64_t value, int64_t least, int64_t most);
const TimeZone &known_time_zone(const std::string &name);

} // namespace opsrunbook::maintenance
