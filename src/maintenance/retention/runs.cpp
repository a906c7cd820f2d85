#include "maintenance/retention/runs.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

int64_t next_retention_run_id()
{
    return pg::as_house_owner([] { return pg::query("SELECT nextval('opsrunbook.retention_run_id')"); })
        .at(0, size_t{0})
        .integer();
}

void write_retention_step(int64_t run_id, const RetentionStep &step, const std::string &role)
{
    pg::as_house_owner([&] {
        pg::query("INSERT INTO opsrunbook.retention_run AS r (run_id, step, relation, action, rows_affected, "
                  "batches,"
                  " status, details, command, undo, role, worker_pid, worker_started_at)"
                  " SELECT $1, $2, $3, $4, $5::bigint, $6, $7, $8, $9, $10, $11, a.pid, a.backend_start"
                  " FROM pg_stat_get_activity(pg_backend_pid()) a"
                  " ON CONFLICT (run_id, step) DO UPDATE SET rows_affected = EXCLUDED.rows_affected,"
                  " batches = EXCLUDED.batches, status = EXCLUDED.status, details = EXCLUDED.details, "
                  "command = EXCLUDED.command, undo = EXCLUDED.undo,"
                  " updated_at = clock_timestamp()",
                  {run_id, step.number, step.relation, step.action,
                   step.rows ? base::Value(*step.rows) : base::Value(), step.batches, step.status,
                   step.details, step.command, step.undo, role});
    });
}

pg::Result retention_steps(int64_t run_id)
{
    return pg::as_house_owner([&] {
        return pg::query_latest("SELECT relation, action, rows_affected, batches, status, details, command"
                                " FROM opsrunbook.retention_runs WHERE run_id = $1 ORDER BY step",
                                {run_id});
    });
}

} // namespace opsrunbook::maintenance
