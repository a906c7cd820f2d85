#pragma once
// The scheduler's decision: which jobs start now, and when to look again.
//
// The caller reads all jobs and the clock, calls decide_due(), records and starts what it says, and sleeps
// until `wake_at` or until a run ends or a job changes, whichever is first; then from the beginning.  Nothing
// is remembered between two calls but what the jobs say, so a restart loses nothing.
//
// A job never overlaps itself: while it runs, what becomes due waits and is judged by its missed-runs policy
// when it has ended.  What cannot be computed for one job is reported, and the others go on.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/cron.hpp"
#include "base/value.hpp"
#include "maintenance/schedule/next_run.hpp"

namespace opsrunbook::maintenance {

// What makes a job due.
struct Once {
    base::Timestamp at;
};
struct After { // each time that the other job has succeeded since our last run
    int64_t job = 0;
};
using Trigger = std::variant<base::Schedule, Once, After>;

enum class MissedRuns {
    skip,     // too late: not at all
    run_once, // the newest one stands for all
    run_all,  // each, oldest first, as far as the limit allows
};

enum class RunOutcome {
    none, // never ran, or the last run was passed over
    succeeded,
    failed,   // also by its timeout, or lost in a crash: may be retried
    canceled, // by a person: not retried
};

struct Job {
    int64_t id = 0;
    bool enabled = true;
    Trigger trigger;
    const TimeZone *zone = nullptr; // of a schedule; none: its name is not known
    base::Timestamp since;          // created, changed or enabled: what was due until then does not count
    MissedRuns missed_runs = MissedRuns::run_once;
    int max_retries = 0;        // of each scheduled run, not counting the first attempt
    double retry_seconds = 60;  // before the first retry; doubles with each
    double timeout_seconds = 0; // 0: none
    double jitter_seconds = 0;  // starts later by a part of this, the same one for the same run

    std::optional<base::Timestamp> last_scheduled_run; // `scheduled_for` of the newest run, or passed over
    std::optional<base::Timestamp> last_finished;
    std::optional<base::Timestamp> last_succeeded; // the end of the newest run that did
    RunOutcome last_outcome = RunOutcome::none;
    int failed_attempts = 0; // of last_scheduled_run; 0 again with each new scheduled run
    std::optional<base::Timestamp> running_since;
};

struct SchedulerLimits {
    int max_running = 4;
    double grace_seconds = 60; // what starts later was missed, if only for want of a slot
    double longest_retry_seconds = 3600;
    int most_missed_runs = 10; // that run_all catches up with
};

enum class LaunchReason { scheduled, missed, once, after, retry };
const char *launch_reason_text(LaunchReason reason); // "scheduled", "missed run", "run once", ...

struct Launch {
    int64_t job = 0;
    base::Timestamp scheduled_for; // when it was due, without jitter; the first attempt's for a retry
    int attempt = 1;
    LaunchReason reason = LaunchReason::scheduled;
};

// Runs that will not happen, up to and with this one; retries of older ones end too.  The caller records it
// as last_scheduled_run with the outcome none, before it records a launch of the same job; until then it is
// reported again.
struct PassedOver {
    int64_t job = 0;
    base::Timestamp scheduled_for;
};

struct JobProblem {
    int64_t job = 0;
    std::string problem; // "its time zone is not known"
};

struct Due {
    std::vector<Launch> launch; // longest due first, as many as may run
    size_t waiting = 0;         // due, but all slots are taken: the next end of a run gives them one
    std::vector<PassedOver> passed_over;
    std::vector<int64_t> timed_out; // running longer than they may: to be cancelled
    std::vector<JobProblem> problems;
    std::optional<base::Timestamp>
        wake_at; // later than now; nothing: only a change or an end of a run matters
};

// A last run more than three hours ahead of `now` came from a wrong clock and is disregarded.
Due decide_due(const std::vector<Job> &jobs, base::Timestamp now, const SchedulerLimits &limits = {});

} // namespace opsrunbook::maintenance
