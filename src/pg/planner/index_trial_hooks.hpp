#pragma once
// Index trials inside the planner.
//
// An index on trial is taken out of what the planner sees of its table.  A query that this concerns is
// planned once more with it; if that plan is better by more than opsrunbook.index_trial_min_gain, the query
// uses it right away and a worker ends the trial (Work::restore_index), whatever becomes of the query's
// transaction. EXPLAIN is planned the same way, so it ends a trial too.

namespace opsrunbook::pg {

void install_index_trial_hooks(); // from _PG_init

// A trial's row was written in this transaction: when it commits, every session sees it and plans again what
// it has kept for the index's table.
void index_trial_changed(unsigned index);

} // namespace opsrunbook::pg
