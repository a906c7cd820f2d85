#pragma once
// The opsrunbook.* settings.  All have defaults that suit a laptop and a cluster of 100,000 tables alike.

#include <string>

namespace opsrunbook::pg {

void define_settings(); // from _PG_init

struct Settings {
    double index_trial_min_gain; // a plan cheaper by more than this factor ends an index's trial
    int lock_timeout_ms;         // a maintenance task gives up waiting for a table after this
    int max_parallel_tasks;      // maintenance workers of one run at the same time
    int max_active_sessions;     // maintenance pauses above it; 0: by the number of processors
    int max_lock_waiters;        // the same; 0: never pauses for it, as of those below
    int max_replication_lag_mb;
    int max_wal_files_to_archive;
    int busy_wait_seconds;          // a paused run carries its tasks over after this
    int retention_seqscan_limit_mb; // retention reads no larger table without an index on its time column
    int verify_interval_days;       // each table is verified this often where amcheck is; 0: never
    bool preloaded;                 // this module stands in shared_preload_libraries of the running server
    int alert_fire_after;           // observations in a row before an alert fires, and
    int alert_clear_after;          // before it is over
};
Settings settings();

} // namespace opsrunbook::pg
