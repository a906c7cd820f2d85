#pragma once
// Index trials: an index that seems unused is hidden from the planner and stays maintained, so that hiding
// and showing it cost nothing; a query that would profit ends the trial at once; what was not missed may be
// dropped, with the statement that brings it back on record.
//
//   trial -> restored  by end_index_trial(), or by a worker when a query profits
//   (planner/index_trial_hooks.hpp) trial -> dropped   by drop_trial_index(), only once the trial's time is
//   over
//
// A trial belongs to the index's name: REINDEX CONCURRENTLY and a restored dump change its OID.

#include "pg/arguments.hpp"
#include "pg/rows.hpp"
#include "pg/worker.hpp"

namespace opsrunbook::advice {

base::Value start_index_trial(const pg::Arguments &arguments); // (index, days, reason): the trial's id
base::Value end_index_trial(const pg::Arguments &arguments);   // (index): the trial's id
base::Value drop_trial_index(const pg::Arguments &arguments);  // (index): the id of the maintenance run
void finished_index_trials(const pg::Arguments &, pg::Rows &rows);

// In a worker.
void restore_index(const pg::WorkerRequest &request);
void drop_index(const pg::WorkerRequest &request);

} // namespace opsrunbook::advice
