#include "pg/settings.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "postmaster/postmaster.h"
#include "utils/guc.h"
}

namespace opsrunbook::pg {

namespace {

double index_trial_min_gain = 1.1;
int lock_timeout_ms = 2000;
int max_parallel_tasks = 2;
int max_active_sessions = 0;
int max_lock_waiters = 20;
int max_replication_lag_mb = 1024;
int max_wal_files_to_archive = 64;
int busy_wait_seconds = 60;
int retention_seqscan_limit_mb = 256;
int verify_interval_days = 7;
bool preloaded = false;
int alert_fire_after = 2;
int alert_clear_after = 2;

} // namespace

void define_settings()
{
    preloaded = process_shared_preload_libraries_in_progress || preloaded;
    DefineCustomRealVariable(
        "opsrunbook.index_trial_min_gain",
        "Ends an index's trial when a query would be cheaper with it by more than this factor.", nullptr,
        &index_trial_min_gain, 1.1, 1, 1e6, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "opsrunbook.lock_timeout", "Gives up on a table that stays locked for this long.",
        "A maintenance task that cannot lock its table is skipped and says who holds the lock.",
        &lock_timeout_ms, 2000, 1, 3600000, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.max_parallel_tasks",
                            "How many maintenance workers one run may use at the same time.", nullptr,
                            &max_parallel_tasks, 2, 1, 64, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "opsrunbook.max_active_sessions", "Maintenance pauses while more sessions than this run statements.",
        "0 allows four a processor. Sessions that wait for a lock or sleep do not count, nor does who asked.",
        &max_active_sessions, 0, 0, MAX_BACKENDS, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.max_lock_waiters",
                            "Maintenance pauses while more sessions than this wait for locks.",
                            "0 never pauses for it.", &max_lock_waiters, 20, 0, MAX_BACKENDS, PGC_SUSET, 0,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.max_replication_lag",
                            "Maintenance pauses while a standby is further behind than this.",
                            "0 never pauses for it.", &max_replication_lag_mb, 1024, 0, INT_MAX / 2,
                            PGC_SUSET, GUC_UNIT_MB, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.max_wal_files_to_archive",
                            "Maintenance pauses while more WAL files than this wait for archive_command.",
                            "0 never pauses for it.", &max_wal_files_to_archive, 64, 0, INT_MAX, PGC_SUSET, 0,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.busy_wait",
                            "A run that the load keeps from working carries its tasks over after this long.",
                            "Work against transaction-id wraparound never waits.", &busy_wait_seconds, 60, 0,
                            86400, PGC_SUSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "opsrunbook.alert_fire_after",
        "How many observations in a row must find a problem before its alert fires.",
        "opsrunbook.observe_alerts() is one observation; the scheduler makes one a minute.",
        &alert_fire_after, 2, 1, 1000, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.alert_clear_after",
                            "How many observations in a row must be fine before an alert is over.", nullptr,
                            &alert_clear_after, 2, 1, 1000, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "opsrunbook.retention_seqscan_limit_mb",
        "Retention refuses to read through a larger table that has no index on its time column.", nullptr,
        &retention_seqscan_limit_mb, 256, 0, INT_MAX / 2, PGC_USERSET, GUC_UNIT_MB, nullptr, nullptr,
        nullptr);
    DefineCustomIntVariable(
        "opsrunbook.verify_interval_days",
        "CALL opsrunbook.run_maintenance() verifies each table and its btree indexes this often, in days.",
        "Where the extension amcheck is installed, and the role may call it. 0 never verifies.",
        &verify_interval_days, 7, 0, 3650, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("opsrunbook");
}

Settings settings()
{
    return {index_trial_min_gain,     lock_timeout_ms,   max_parallel_tasks,
            max_active_sessions,      max_lock_waiters,  max_replication_lag_mb,
            max_wal_files_to_archive, busy_wait_seconds, retention_seqscan_limit_mb,
            verify_interval_days,     preloaded,         alert_fire_after,
            alert_clear_after};
}

} // namespace opsrunbook::pg
