#include "maintenance/retention/retention.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/retention/policies.hpp"
#include "maintenance/retention/runs.hpp"
#include "maintenance/retention/standing.hpp"
#include "maintenance/schedule/job_book.hpp"
#include "pg/database.hpp"
#include "pg/notice.hpp"
#include "pg/procedure.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"
#include "pg/visible_relation.hpp"
#include "pg/worker.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;

// Runs retention in a worker, waits for it, and hands back what it committed.
pg::Result run_and_wait(uint32_t relation, int64_t days, bool dry_run)
{
    const pg::Settings settings = pg::settings();
    pg::WorkerRequest request = pg::request_from_session(pg::Work::retention, next_retention_run_id());
    request.lock_timeout_ms = settings.lock_timeout_ms;
    request.seqscan_limit_mb = settings.retention_seqscan_limit_mb;
    request.relation = relation;
    request.days = static_cast<int32_t>(days);
    request.dry_run = dry_run;
    const auto worker = pg::Worker::launch(request);
    if (!worker)
        pg::throw_no_worker_slot();
    worker->wait();
    pg::Result steps = retention_steps(request.run_id);
    if (steps.empty())
        throw Error(ErrorKind::not_ready, "the retention worker did nothing that can be seen",
                    format("Run %lld left no row in opsrunbook.retention_run.",
                           static_cast<long long>(request.run_id)),
                    "A worker sees what is committed: commit the policy and the table first. Otherwise look "
                    "for the worker's "
                    "error in the server log.");
    return steps;
}

int64_t checked_days(const pg::Arguments &arguments)
{
    const int64_t days = arguments.integer(0);
    if (days < 1)
        throw Error(ErrorKind::invalid_input, "days must be at least 1",
                    arguments.is_null(0) ? "It is null."
                                         : format("It is %lld.", static_cast<long long>(days)),
                    "Give the number of days whose rows are kept.");
    return days;
}

void notice_no_policy()
{
    pg::notice("there is no enabled retention policy",
               "Set one: SELECT opsrunbook.set_retention('schema.table', 'time_column', '90 days');");
}

} // namespace

Value reason_against_by_oids(const pg::Arguments &arguments)
{
    const pg::Result found = pg::query(
        "SELECT c.oid IS NOT NULL AS stands, coalesce($1::bigint = $2::bigint, true) AS same_relation,"
        " coalesce($3::bigint = $4::bigint, true) AS same_other, s.rolname::text AS setter,"
        " coalesce(pg_has_role(s.oid, c.relowner, 'USAGE'), false) AS setter_has_rights,"
        " pg_get_userbyid(c.relowner)::text AS owner, (SELECT format('%I.%I', n.nspname, t.relname)"
        "  FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace"
        "  WHERE t.oid = $2::bigint::oid AND t.relkind IN ('r', 'p')) AS name_now"
        " FROM (SELECT) one LEFT JOIN pg_class c ON c.oid = $1::bigint::oid"
        " LEFT JOIN pg_roles s ON CASE WHEN $6::bigint IS NULL THEN s.rolname = $5"
        " ELSE s.oid = $6::bigint::oid END",
        {arguments.value(0), arguments.value(1), arguments.value(2), arguments.value(3), arguments.value(4),
         arguments.value(5)});
    const std::string reason = reason_against(
        {found.at(0, "same_relation").boolean(), found.at(0, "same_other").boolean(),
         found.at(0, "setter").text(), found.at(0, "setter_has_rights").boolean(),
         found.at(0, "owner").text(), found.at(0, "stands").boolean(), found.at(0, "name_now").text()});
    return reason.empty() ? Value() : Value(reason);
}

void apply_retention(const pg::Arguments &arguments, pg::Rows &rows)
{
    const auto relation =
        arguments.is_null(0) ? std::nullopt : std::optional(static_cast<uint32_t>(arguments.integer(0)));
    const std::vector<StoredPolicy> policies = stored_policies(relation);
    const auto applied = [&](const StoredPolicy &policy) { return policy.enabled || relation; };
    if (std::none_of(policies.begin(), policies.end(), applied)) {
        if (relation)
            throw Error(ErrorKind::undefined, "the table has no retention policy", "",
                        "Set one with opsrunbook.set_retention(relation, time_column, keep).");
        notice_no_policy();
        return;
    }
    const pg::Result steps = run_and_wait(relation.value_or(0), 0, arguments.boolean(1));
    for (size_t row = 0; row < steps.size(); ++row)
        rows.add({steps.at(row, "relation"), steps.at(row, "action"), steps.at(row, "rows_affected"),
                  steps.at(row, "batches"), steps.at(row, "status"), steps.at(row, "details"),
                  steps.at(row, "command")});
}

void run_retention(const pg::Arguments &)
{
    pg::commit_procedure(); // from here on no snapshot keeps what goes from being vacuumed
    const std::vector<StoredPolicy> policies = stored_policies(std::nullopt);
    if (std::none_of(policies.begin(), policies.end(),
                     [](const StoredPolicy &policy) { return policy.enabled; }))
        return notice_no_policy();
    const pg::Result steps = run_and_wait(0, 0, false);
    std::string undone, command;
    for (size_t row = 0; row < steps.size(); ++row) {
        const std::string &status = steps.at(row, "status").text();
        const std::string step = format("%s: %s: %s", steps.at(row, "relation").text().c_str(),
                                        status.c_str(), steps.at(row, "details").text().c_str());
        pg::notice(step, "");
        if (status == "completed" || status == "skipped")
            continue;
        undone += (undone.empty() ? "" : "; ") + step;
        if (status == "refused" && command.empty())
            command = steps.at(row, "command").text();
    }
    if (!undone.empty())
        throw Error(ErrorKind::not_ready, "retention was not done everywhere", undone,
                    command.empty() ? "SELECT * FROM opsrunbook.retention_runs; shows every step." : command);
}

Value cleanup_old_user_events(const pg::Arguments &arguments)
{
    const int64_t days = checked_days(arguments);
    const uint32_t relation = pg::visible_relation("user_events");
    if (relation == 0)
        throw Error(ErrorKind::undefined_table, "relation \"user_events\" does not exist",
                    "No table of that name is on the search path of this session.",
                    "For a table of another name: SELECT opsrunbook.set_retention('schema.table', "
                    "'time_column', '30 days'); "
                    "then SELECT * FROM opsrunbook.apply_retention();");
    const StoredPolicy policy = policy_for_days(relation, days);
    if (policy.relation == 0)
        throw Error(ErrorKind::unsupported, "user_events is not a table",
                    "It is a view, a foreign table, a temporary table or another kind of relation.");
    if (!policy.permitted)
        throw Error(ErrorKind::not_allowed, "permission denied for table user_events",
                    format("Only a role with the rights of its owner, %s, may clean it up.",
                           base::quote_identifier(policy.owner_name).c_str()),
                    format("Call it as %s.", base::quote_identifier(policy.owner_name).c_str()));
    if (policy.time_type.empty())
        throw Error(ErrorKind::not_ready,
                    format("table user_events has no column %s that is a date, timestamp or timestamptz",
                           base::quote_identifier(policy.time_column).c_str()),
                    "",
                    "Name its time column: SELECT opsrunbook.set_retention('user_events', 'time_column', '30 "
                    "days');");
    const pg::Result steps = run_and_wait(relation, days, false);
    int64_t deleted = 0;
    for (size_t row = 0; row < steps.size(); ++row)
        deleted += steps.at(row, "rows_affected").integer();
    for (size_t row = 0; row < steps.size(); ++row) {
        const std::string &status = steps.at(row, "status").text();
        const std::string &relation_name = steps.at(row, "relation").text();
        if (status == "completed" && steps.at(row, "rows_affected").is_null())
            pg::notice(steps.at(row, "action").text() + " " + relation_name, steps.at(row, "details").text());
        if (status == "completed")
            continue;
        const std::string message = format("retention of %s: %s", relation_name.c_str(), status.c_str());
        const std::string advice = steps.at(row, "command").is_null() || status != "refused"
                                       ? "SELECT * FROM opsrunbook.retention_runs; shows every step."
                                       : steps.at(row, "command").text();
        if (deleted == 0)
            throw Error(ErrorKind::not_ready, message, steps.at(row, "details").text(), advice);
        pg::warning(message + ": " + steps.at(row, "details").text(), advice);
    }
    return deleted;
}

// Never what still waits or runs.  A superuser's call covers everybody's history, another role's its own.
Value cleanup_maintenance_history(const pg::Arguments &arguments)
{
    const int64_t days = checked_days(arguments);
    const Value mine =
        pg::is_superuser()
            ? Value()
            : pg::query("SELECT array_agg(rolname::text) FROM pg_roles WHERE pg_has_role(oid, 'USAGE')")
                  .at(0, size_t{0});
    return pg::as_house_owner([&]() -> Value {
        const auto remove = [&](const std::string &sql) {
            return static_cast<int64_t>(pg::query(sql, {days, mine}).processed);
        };
        const std::string old = " < now() - make_interval(days => $1::integer)";
        const auto of = [](const std::string &role) {
            return " AND ($2::text[] IS NULL OR " + role + " = ANY ($2::text[]))";
        };
        int64_t removed =
            remove("DELETE FROM opsrunbook.task t USING opsrunbook.tasks v WHERE v.task_id = t.id"
                   " AND v.status NOT IN ('pending', 'running')"
                   " AND coalesce(v.finished_at, v.started_at, v.queued_at)" +
                   old + of("t.role"));
        // A run at work, or with tasks left, stays.
        removed += remove("DELETE FROM opsrunbook.run r WHERE r.started_at" + old + of("r.requested_by") +
                          " AND NOT EXISTS (SELECT FROM opsrunbook.run_task x WHERE x.run_id = r.id)"
                          " AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = r.worker_pid"
                          " AND a.backend_start = r.worker_started_at)");
        removed += remove("DELETE FROM opsrunbook.retention_run r WHERE r.updated_at" + old + of("r.role") +
                          " AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE r.status = 'running'"
                          " AND a.pid = r.worker_pid AND a.backend_start = r.worker_started_at)");
        removed += prune_runs(days, mine);
        return removed;
    });
}

} // namespace opsrunbook::maintenance
