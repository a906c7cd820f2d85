#pragma once
// The rows of run, task, run_task, task_start and task_end: what a run writes down before and after it acts.
// Each function works in the transaction it is called in, as the owner of the house.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "maintenance/plan.hpp"
#include "maintenance/window.hpp"
#include "pg/worker.hpp"

namespace opsrunbook::maintenance {

bool house_stands(); // the extension is still installed

// Gives every task_start without a task_end whose worker is gone its end: failed.
void sweep_crashed();

// A task that waits in the queue, of no run that is still at work.
struct PendingTask {
    int64_t id;
    std::string kind;
    uint32_t relation;
    std::string object, command;
    int windows_waited; // runs that have carried it over
    std::string role;   // that queued it
};
std::vector<PendingTask> pending_tasks();

std::vector<PastRun> past_runs();

int64_t next_run_id();
void write_run(const pg::WorkerRequest &request, int64_t tables_seen, const std::string &note);
// Queues a task; its id.
int64_t write_task(const PlannedTask &task, const Duration &duration, const std::string &role);
// position: nothing for carried over.
void write_decision(int64_t run_id, int64_t task_id, std::optional<int> position,
                    const std::string &decision);

struct ClaimedTask {
    int64_t id;
    int attempt;
    uint32_t relation;
    std::string kind, object, command;
};
// Which of a run's tasks.
struct Share {
    bool background = false;
    bool emergency_only = false;
};
// Whether the worker that planned the run is still there.
bool planner_lives(int64_t run_id);
// Whether another worker of the run is at the table of the task.
bool run_is_at_table(int64_t run_id, int64_t task_id);
// The run's next task that nobody has: its task_start is written, with the table's bytes and dead rows.
std::optional<ClaimedTask> claim_task(const pg::WorkerRequest &request, const Share &share);
// How many tasks of the run nobody has started yet.
int64_t waiting_tasks(int64_t run_id, bool background);
// Until the first of those may start that are to be tried again; nothing: there are none.
std::optional<double> seconds_to_retry(int64_t run_id, bool background);
// Says why nothing of what nobody has started yet starts now; for_this_run: it is left to a later run.
void hold_back(int64_t run_id, const std::string &reason, bool for_this_run);

struct TaskEnd {
    std::string status; // completed, failed, skipped
    std::string message;
    std::string sqlstate;                // empty: none
    std::optional<double> retry_seconds; // after which it is tried again; nothing: it has ended
};
void write_end(int64_t task_id, int attempt, uint32_t relation, const TaskEnd &end);
// Ends a task that waits, for its first attempt or for another one; no worker starts it meanwhile.  False: it
// does not wait any more.
bool end_waiting(int64_t task_id, uint32_t relation, const TaskEnd &end);

struct Measured {
    int64_t bytes = 0;
    int64_t dead_rows = 0;
};
Measured measure(uint32_t relation); // a table with its indexes and TOAST, now; takes no lock

// "process 123 (bob) holds AccessExclusiveLock": who keeps VACUUM and its like from a table.
std::string lock_holders(uint32_t relation);

} // namespace opsrunbook::maintenance
