#pragma once
// The opsrunbook.* settings.  All have defaults that suit a laptop and a cluster of 100,000 tables alike.

#include <string>

namespace opsrunbook::pg {

void define_settings(); // from _PG_init

struct Settings {
    double index_trial_min_gain;    // a plan cheaper by more than this factor ends an index's trial
    int lock_timeout_ms;            // a maintenance task gives up waiting for a table after this
    int max_parallel_tasks;         // maintenance workers of one run at the same time
    int retention_seqscan_limit_mb; // retention reads no larger table without an index on its time column
    bool preloaded;                 // this module stands in shared_preload_libraries of the running server
    int alert_fire_after;           // observations in a row before an alert fires, and
    int alert_clear_after;          // before it is over
};
Settings settings();

} // namespace opsrunbook::pg
