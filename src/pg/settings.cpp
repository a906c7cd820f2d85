#include "pg/settings.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "utils/guc.h"
}

namespace opsrunbook::pg {

namespace {

double index_trial_min_gain = 1.1;
int lock_timeout_ms = 2000;
int max_parallel_tasks = 2;
int retention_seqscan_limit_mb = 256;
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
    MarkGUCPrefixReserved("opsrunbook");
}

Settings settings()
{
    return {index_trial_min_gain, lock_timeout_ms,  max_parallel_tasks, retention_seqscan_limit_mb, preloaded,
            alert_fire_after,     alert_clear_after};
}

} // namespace opsrunbook::pg
