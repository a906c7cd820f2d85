#pragma once
// The tables of jobs and their runs.  Each function works in the transaction it is called in, as the owner of
// the house.

#include <string>
#include <vector>

#include "maintenance/schedule/due.hpp"

namespace opsrunbook::maintenance {

struct BookedJob {
    Job job; // disabled when the problem is not empty
    std::string name, cron, command, timezone, role, after;
    std::optional<base::Timestamp> run_at;
    std::string missed;
    bool enabled = true; // as the table has it
    bool run_now = false;
    std::string problem;       // why it cannot be decided on
    std::string noted_problem; // what the table says about that
    std::string last_status, last_message;
    std::optional<base::Timestamp> last_started;
    bool worker_unknown = false; // launched, and its worker has not reported yet
    int64_t run_id = 0;          // the newest
};
std::vector<BookedJob> read_jobs();
std::vector<Job> decidable(const std::vector<BookedJob> &jobs);

// A run whose worker ended without a word has failed.  Returns the runs that it ended.
std::vector<int64_t> end_crashed_runs();

struct RunEnd {
    const char *status; // "completed", "failed", "skipped"
    std::string sqlstate;
    std::string message;
};
int64_t write_launch(const BookedJob &job, const Launch &launch);
void write_passed_over(const BookedJob &job, base::Timestamp scheduled_for);
// No worker could be started.  run_now: somebody asked for the run, and it is still to come.
void forget_launch(int64_t run_id, bool run_now);
void write_problem(const BookedJob &job);
void write_run_end(int64_t run_id, const RunEnd &end);

// For the worker: false when the run is not to be started (any more).
struct ClaimedRun {
    int64_t job_id = 0;
    std::string command;
    double timeout_seconds = 0;
};
std::optional<ClaimedRun> claim_run(int64_t run_id);

// The log line and the notification of a run that failed for good; nothing when it is tried again, did not
// fail, or was not recorded.
struct Alert {
    std::string message;
    std::string payload; // JSON, for the channel opsrunbook_alert
};
std::optional<Alert> alert_of(int64_t run_id);

// Jobs that were to run once, and did so long ago.  One that failed stays, as the alert that it is, until it
// is disabled.
void remove_done_jobs(int days);
// Those that ended so long ago, but for the newest of each job that there is; how many.  roles: only theirs,
// null: everybody's.
int64_t prune_runs(int64_t days, const base::Value &roles = {});
void prune_runs_of(int64_t job_id, int rows);

} // namespace opsrunbook::maintenance
