#pragma once
// Background workers: how they are started and waited for, and what runs inside one.
//
// A worker connects as the session's role and then takes the caller's role, so it can do what the caller
// could. Its transactions are its own: what it commits stays, whatever becomes of the caller's.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "pg/server_error.hpp"

namespace opsrunbook::pg {

enum class Work : int32_t {
    plan_and_run, // plan a maintenance run, then do its tasks
    help_run,     // do tasks of a run that another worker planned
    finish_run,   // do the tasks of a run that no waiting caller may have: REINDEX CONCURRENTLY and its like
    retention,    // apply retention policies, a transaction a batch
    scheduler_turn, // as the bootstrap superuser: start the jobs that are due; see scheduler.hpp
    job,            // run_id is a job's run; the role's own settings apply
    restore_index,  // end an index's trial because a query needs it
    drop_index,     // drop an index whose trial is over
};

// Travels to the worker in bgw_extra: plain data, at most 128 bytes.
struct WorkerRequest {
    Work work;
    uint32_t database;
    uint32_t session_role; // logs in
    uint32_t role;         // acts
    int64_t run_id;
    int32_t lock_timeout_ms;
    int32_t max_parallel_tasks;
    int32_t only;          // a maintenance::TaskFilter
    bool everything;       // nobody waits with a snapshot: background tasks are done here too
    double window_seconds; // negative: no window
    uint32_t relation; // retention: this table only, 0: every policy; restore_index and drop_index: the index
    int32_t days;      // retention: keep this many days, whatever the policy says; 0: what the policy says
    int32_t seqscan_limit_mb;
    bool dry_run;                   // retention: count only
    int16_t verify_interval_days;   // a run verifies each table this often; 0: it does not verify
    int32_t asking_pid;             // who waits for the run; restore_index: whose query profits,
    double cost_before, cost_after; // from which cost to which,
    char note[40];                  // and how its text begins
};

// Everything of a request that comes from the calling session.
WorkerRequest request_from_session(Work work, int64_t run_id);

// A started worker.
class Worker {
public:
    // Nothing: no slot is free (max_worker_processes).  A helper of a run (Work::help_run) is ended when this
    // process ends without having waited for it.
    static std::optional<Worker> launch(const WorkerRequest &request);
    // Waits until the worker has ended; once.  When the waiting query is cancelled, the worker is ended too.
    void wait() const;

private:
    explicit Worker(void *handle_) : handle(handle_) {}
    void *handle;
};

// 53400 that says how many slots there are and what to do.
[[noreturn]] void throw_no_worker_slot();

// Inside a worker only.  Runs a body in a transaction of its own; an error aborts it, is logged, and comes
// back.
std::optional<ServerError> worker_transaction(const std::function<void()> &body);

// The same for writing down what came of a statement: a cancellation that came too late for the statement may
// hit this transaction instead, so it is tried again.
std::optional<ServerError> record_outcome(const std::function<void()> &body);

// Inside a worker only.  Runs one statement as a client's top-level statement, so that VACUUM and
// REINDEX CONCURRENTLY work.  Gives up on locks after lock_timeout_ms (0: never).
std::optional<ServerError> run_statement(const std::string &sql, int lock_timeout_ms,
                                         double timeout_seconds = 0);

// 22023 unless the text is one statement, and not one that begins or ends a transaction.  The hint is for
// what is no SQL at all.
void require_single_statement(const std::string &sql, const std::string &hint = {});

// Inside a worker only.  One operation a relation at a time, whoever runs it: false when another worker is at
// it. Held until unlock_relation_task() or the end of the process.
bool try_lock_relation_task(unsigned relation);
void unlock_relation_task(unsigned relation);

// Keeps apart who cancels a task and the worker that writes its end: while one holds it, a task that is seen
// running is still its worker's.  Held until unlock_task_end() or the end of the transaction.
void lock_task_end(int64_t task);
void unlock_task_end(int64_t task);

int process_id();

} // namespace opsrunbook::pg
