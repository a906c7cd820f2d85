#pragma once
// What a maintenance worker does.  A run's life:
//
//   the caller draws a run id and starts a worker (Work::plan_and_run)
//   the worker commits the plan: rows in run, task and run_task
//   it, and helpers it starts, claim the run's tasks one by one:
//       task_start committed -> the statement, top-level -> task_end committed
//   what no waiting caller may have (REINDEX CONCURRENTLY waits for the caller's own snapshot) is left to a
//   worker of its own (Work::finish_run)
//
// The tables are append-only: a task's status follows from which rows there are, so a task_start without a
// task_end whose worker is gone is a crash, and nobody has to survive to write that down.  One thing is
// rewritten: the task_end of a task that was to be tried again and is given up while it waits.

#include "pg/worker.hpp"

namespace opsrunbook::maintenance {

void work(const pg::WorkerRequest &request);

} // namespace opsrunbook::maintenance
