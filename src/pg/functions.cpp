// One line for each SQL function: its name, who may call it, and the flow behind it.  The C symbol is
// opsrunbook_ and the name; health.sql and its like declare the SQL side.

#include "pg/boundary.hpp"
#include "pg/datum.hpp"
#include "pg/role.hpp"
#include "pg/rows.hpp"

#include "pg/arguments.hpp"

#include "advice/bloat/bloat.hpp"
#include "advice/index_usage/index_usage.hpp"
#include "health/alerting/alerting.hpp"
#include "advice/index_trial/index_trial.hpp"
#include "advice/index_trial/standbys.hpp"
#include "health/health.hpp"
#include "maintenance/maintenance.hpp"
#include "maintenance/retention/retention.hpp"
#include "health/storage/storage.hpp"
#include "health/triage/triage.hpp"
#include "maintenance/schedule/schedule.hpp"
#include "maintenance/still_at_work.hpp"
#include "maintenance/verification/verification.hpp"

namespace opsrunbook::pg {

namespace {

// A REVOKE could refuse a call only without a hint, so the right is checked here; the grants in SQL are the
// same.
enum class Right {
    anyone,
    reader, // the privileges of pg_monitor
    actor,  // the same, on a primary: what it may change is decided object by object, by the server's rules
    superuser, // a superuser, on a primary
};

void require(Right right, const char *function)
{
    if (right == Right::reader || right == Right::actor)
        require_reader(function);
    if (right == Right::superuser)
        require_superuser(function);
    if (right == Right::actor || right == Right::superuser)
        require_primary(function);
}

// A single column of a plain type has no row type of its own.
void materialize(FunctionCallInfo fcinfo)
{
    Oid type;
    const bool scalar = get_call_result_type(fcinfo, &type, nullptr) == TYPEFUNC_SCALAR;
    InitMaterializedSRF(fcinfo, scalar ? MAT_SRF_USE_EXPECTED_DESC : 0);
}

template <class Flow> Datum rows_function(FunctionCallInfo fcinfo, const char *name, Right right, Flow flow)
{
    return entry(fcinfo, [&](FunctionCallInfo) {
        require(right, name);
        call([fcinfo] { materialize(fcinfo); });
        Rows rows(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
        flow(Arguments(fcinfo), rows);
        return Datum{0};
    });
}

template <class Flow>
Datum procedure_function(FunctionCallInfo fcinfo, const char *name, Right right, Flow flow)
{
    return entry(fcinfo, [&](FunctionCallInfo) {
        require(right, name);
        flow(Arguments(fcinfo));
        return Datum{0};
    });
}

template <class Flow> Datum value_function(FunctionCallInfo fcinfo, const char *name, Right right, Flow flow)
{
    return entry(fcinfo, [&](FunctionCallInfo) {
        require(right, name);
        const base::Value value = flow(Arguments(fcinfo));
        const Cell cell = cell_of(value);
        fcinfo->isnull = cell.kind == Cell::Kind::null;
        if (fcinfo->isnull)
            return Datum{0};
        return call([fcinfo, &cell] { return datum_of(cell, get_fn_expr_rettype(fcinfo->flinfo)); });
    });
}

} // namespace

} // namespace opsrunbook::pg

#define FUNCTION(kind, name, right, flow)                                                                    \
    extern "C" {                                                                                             \
    PG_FUNCTION_INFO_V1(opsrunbook_##name);                                                                  \
    Datum opsrunbook_##name(PG_FUNCTION_ARGS)                                                                \
    {                                                                                                        \
        return opsrunbook::pg::kind##_function(fcinfo, #name, opsrunbook::pg::Right::right,                  \
                                               opsrunbook::flow);                                            \
    }                                                                                                        \
    }                                                                                                        \
    static_assert(true)

#pragma GCC visibility push(default)

FUNCTION(rows, calculate_database_health_score, reader, health::calculate_database_health_score);
FUNCTION(rows, detect_performance_bottlenecks, reader, health::detect_performance_bottlenecks);
FUNCTION(rows, generate_performance_report, reader, health::generate_performance_report);
FUNCTION(rows, dashboard, reader, health::dashboard);
FUNCTION(rows, check_alerts, reader, health::check_alerts);
FUNCTION(rows, check_system_health, reader, health::check_system_health);
FUNCTION(rows, health_check, reader, health::recovery_health_check);
FUNCTION(rows, findings, reader, health::findings);
FUNCTION(rows, list_checks, anyone, health::list_checks);
FUNCTION(value, add_check, actor, health::add_check);
FUNCTION(value, remove_check, actor, health::remove_check);
FUNCTION(value, mute_alert, actor, health::mute_alert);
FUNCTION(value, unmute_alert, actor, health::unmute_alert);
FUNCTION(rows, observe_alerts, actor, health::observe_alerts);
FUNCTION(rows, measure_bloat, reader, advice::measure_bloat_of);
FUNCTION(rows, estimate_bloat, reader, advice::estimate_bloat);
FUNCTION(rows, analyze_index_efficiency, reader, advice::analyze_index_efficiency);

FUNCTION(rows, get_unused_indexes, reader, advice::get_unused_indexes);
FUNCTION(rows, find_unused_indexes, reader, advice::get_unused_indexes);
FUNCTION(rows, get_index_usage_stats, reader, advice::get_index_usage_stats);
FUNCTION(rows, analyze_index_usage, reader, advice::get_index_usage_stats);
FUNCTION(value, update_index_usage, actor, advice::update_index_usage);
FUNCTION(value, start_index_trial, actor, advice::start_index_trial);
FUNCTION(value, end_index_trial, actor, advice::end_index_trial);
FUNCTION(value, drop_trial_index, actor, advice::drop_trial_index);
FUNCTION(value, declare_standby, superuser, advice::declare_standby);
FUNCTION(value, forget_standby, superuser, advice::forget_standby);
FUNCTION(value, export_index_usage, reader, advice::export_index_usage);
FUNCTION(value, import_index_usage, superuser, advice::import_index_usage);
FUNCTION(rows, finished_index_trials, reader, advice::finished_index_trials);

FUNCTION(rows, get_storage_usage_stats, reader, health::get_storage_usage_stats);
FUNCTION(value, record_storage_sizes, actor, health::record_storage_sizes);

FUNCTION(rows, list_blocking_tree, reader, health::list_blocking_tree);
FUNCTION(rows, kill_long_queries, reader, health::kill_long_queries);
FUNCTION(rows, reset_idle_connections, reader, health::reset_idle_connections);
FUNCTION(rows, optimize_cache, reader, health::optimize_cache);
FUNCTION(rows, enter_maintenance_mode, actor, health::enter_maintenance_mode);
FUNCTION(value, exit_maintenance_mode, actor, health::exit_maintenance_mode);

FUNCTION(rows, run_automated_maintenance, actor, maintenance::run_automated_maintenance);
FUNCTION(rows, get_maintenance_status, reader, maintenance::get_maintenance_status);
FUNCTION(value, auto_schedule_maintenance, actor, maintenance::auto_schedule_maintenance);
FUNCTION(value, optimize_database, actor, maintenance::optimize_database);
FUNCTION(value, update_table_statistics, actor, maintenance::update_table_statistics);
FUNCTION(rows, perform_routine_maintenance, actor, maintenance::perform_routine_maintenance);
FUNCTION(procedure, run_maintenance, actor, maintenance::run_maintenance);
FUNCTION(rows, plan_maintenance, reader, maintenance::plan_maintenance);
FUNCTION(value, cancel_task, actor, maintenance::cancel_task);
FUNCTION(rows, perform_maintenance, actor, maintenance::perform_maintenance);
FUNCTION(rows, verify_table, actor, maintenance::verify_table);
FUNCTION(value, still_at_work, anyone, maintenance::still_at_work);
FUNCTION(value, reason_against, anyone, maintenance::reason_against_by_oids);

FUNCTION(value, set_retention, actor, maintenance::set_retention);
FUNCTION(value, drop_retention, actor, maintenance::drop_retention);
FUNCTION(value, drop_retention_by_name, actor, maintenance::drop_retention_by_name);
FUNCTION(procedure, run_retention, actor, maintenance::run_retention);
FUNCTION(procedure, run_orphan_cleanup, actor, maintenance::run_orphan_cleanup);
FUNCTION(rows, apply_retention, actor, maintenance::apply_retention);
FUNCTION(value, cleanup_old_user_events, actor, maintenance::cleanup_old_user_events);
FUNCTION(value, cleanup_maintenance_history, actor, maintenance::cleanup_maintenance_history);
FUNCTION(value, add_orphan_rule, actor, maintenance::add_orphan_rule);
FUNCTION(value, remove_orphan_rule, actor, maintenance::remove_orphan_rule);
FUNCTION(rows, cleanup_orphaned_images, actor, maintenance::cleanup_orphaned_images);

FUNCTION(value, schedule, actor, maintenance::schedule);
FUNCTION(value, run_once, actor, maintenance::run_once);
FUNCTION(value, run_job_now, actor, maintenance::run_job_now);
FUNCTION(value, unschedule, actor, maintenance::unschedule);
FUNCTION(value, enable_job, actor, maintenance::enable_job);
FUNCTION(value, disable_job, actor, maintenance::disable_job);
FUNCTION(value, enable_default_schedule, actor, maintenance::enable_default_schedule);
FUNCTION(value, disable_default_schedule, actor, maintenance::disable_default_schedule);
FUNCTION(rows, next_runs, anyone, maintenance::next_runs);
FUNCTION(rows, list_jobs, reader, maintenance::list_jobs);

#pragma GCC visibility pop
