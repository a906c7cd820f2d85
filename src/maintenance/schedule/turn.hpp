#pragma once
// What the scheduler's workers do.
//
// A turn, in one transaction: keep the extension from being dropped, end the runs whose workers are gone,
// decide, and record each run that is to start.  Committed, it starts a worker for each, and says when to
// look again.  It waits for nothing: the end of a run makes the scheduler look again.
//
// A job's worker is connected as the job's role.  It claims its run (a run without a claim may be given up by
// a turn, and then is not started any more), runs the command as a client's top-level statement, and records
// the outcome.

#include "pg/worker.hpp"

namespace opsrunbook::maintenance {

void scheduler_turn();
void run_job(const pg::WorkerRequest &request);

} // namespace opsrunbook::maintenance
