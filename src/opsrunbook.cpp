// The module: magic block and what happens when it is loaded.
#include "pg/postgres.hpp"

#include "pg/maintenance_mode.hpp"
#include "pg/scheduler.hpp"
#include "pg/planner/index_trial_hooks.hpp"
#include "pg/settings.hpp"

#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
void _PG_init(void);
}
#pragma GCC visibility pop

void _PG_init(void)
{
    opsrunbook::pg::define_maintenance_reason();
    opsrunbook::pg::register_scheduler();
    opsrunbook::pg::define_settings();
    opsrunbook::pg::install_index_trial_hooks();
}
