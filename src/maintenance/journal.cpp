#include "maintenance/journal.hpp"

#include "base/text.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Value;

Value text_or_null(const std::string &text)
{
    return text.empty() ? Value() : Value(text);
}

// Other tasks of run $1 that are at the table of task t now.
const std::string others_at_the_table =
    "SELECT FROM opsrunbook.run_task o JOIN opsrunbook.task x ON x.id = o.task_id"
    " JOIN opsrunbook.task_start b ON b.task_id = x.id AND b.run_id = $1"
    " WHERE o.run_id = $1 AND x.relation = t.relation AND x.id <> t.id AND NOT EXISTS (SELECT FROM"
    " opsrunbook.task_end d WHERE d.task_id = b.task_id AND d.attempt = b.attempt)";

} // namespace

bool house_stands()
{
    return pg::query("SELECT 1 FROM pg_extension WHERE extname = 'opsrunbook'").processed > 0;
}

void sweep_crashed()
{
    pg::house_query("INSERT INTO opsrunbook.task_end (task_id, attempt, status, message)"
                    " SELECT t.task_id, t.attempt, 'failed', t.message FROM opsrunbook.tasks t"
                    " WHERE t.status = 'failed' AND t.finished_at IS NULL ON CONFLICT DO NOTHING");
}

std::vector<PendingTask> pending_tasks()
{
    // A run is at work while its planning worker lives.
    const pg::Result rows =
        pg::house_query("SELECT t.task_id, t.kind, t.relation, t.object_name, t.command, t.role,"
                        " (SELECT count(*) FROM opsrunbook.run_task d WHERE d.task_id = t.task_id "
                        "AND d.position IS NULL) AS waited"
                        " FROM opsrunbook.tasks t WHERE t.status = 'pending' AND NOT EXISTS ("
                        " SELECT FROM opsrunbook.run r JOIN pg_stat_activity a ON a.pid = "
                        "r.worker_pid AND a.backend_start = r.worker_started_at"
                        " JOIN opsrunbook.run_task d ON d.run_id = r.id WHERE d.task_id = "
                        "t.task_id AND a.pid <> pg_backend_pid())");
    std::vector<PendingTask> tasks;
    for (size_t r = 0; r < rows.size(); ++r)
        tasks.push_back({rows.at(r, "task_id").integer(), rows.at(r, "kind").text(),
                         static_cast<uint32_t>(rows.at(r, "relation").integer()),
                         rows.at(r, "object_name").text(), rows.at(r, "command").text(),
                         static_cast<int>(rows.at(r, "waited").integer()), rows.at(r, "role").text()});
    return tasks;
}

std::vector<PastRun> past_runs()
{
    const pg::Result rows = pg::house_query(
        "SELECT kind, relation, work_bytes, extract(epoch FROM duration)::float8 AS seconds,"
        " extract(epoch FROM clock_timestamp() - started_at)::float8 AS age FROM opsrunbook.tasks"
        " WHERE status = 'completed' AND work_bytes > 0 ORDER BY started_at DESC LIMIT 20000");
    std::vector<PastRun> runs;
    for (size_t r = 0; r < rows.size(); ++r)
        if (const auto kind = task_kind_of(rows.at(r, "kind").text()))
            runs.push_back({static_cast<uint32_t>(rows.at(r, "relation").integer()), *kind,
                            rows.at(r, "work_bytes").real(), rows.at(r, "seconds").real(),
                            rows.at(r, "age").real()});
    return runs;
}

int64_t next_run_id()
{
    return pg::house_query("SELECT nextval('opsrunbook.run_id')").at(0, size_t{0}).integer();
}

void write_run(const pg::WorkerRequest &request, int64_t tables_seen, const std::string &note)
{
    pg::house_query(
        "INSERT INTO opsrunbook.run (id, requested_by, worker_pid, worker_started_at, window_seconds, "
        "tables_seen, note)"
        " SELECT $1, pg_get_userbyid($2::oid), a.pid, a.backend_start, $3::float8, $4, $5::text"
        " FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()",
        {request.run_id, static_cast<int64_t>(request.role),
         request.window_seconds < 0 ? Value() : Value(request.window_seconds), tables_seen,
         text_or_null(note)});
}

int64_t write_task(const PlannedTask &task, const Duration &duration, const std::string &role)
{
    return pg::house_query(
               "INSERT INTO opsrunbook.task (kind, relation, object_name, command, undo, reason, benefit, "
               "work_bytes,"
               " predicted_seconds, emergency, background, role)"
               " VALUES ($1, $2::oid, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
               {std::string(task_kind_text(task.work.kind)), static_cast<int64_t>(task.relation), task.object,
                task.command, text_or_null(task.undo), task.reason, task.benefit, work_bytes(task.work),
                duration.seconds, task.emergency, task.background, role})
        .at(0, size_t{0})
        .integer();
}

void write_decision(int64_t run_id, int64_t task_id, std::optional<int> position, const std::string &decision)
{
    pg::house_query("INSERT INTO opsrunbook.run_task (run_id, task_id, position, decision) VALUES ($1, $2, "
                    "$3::int8::int4, $4)",
                    {run_id, task_id, position, decision});
}

bool planner_lives(int64_t run_id)
{
    return !pg::house_query("SELECT 1 FROM opsrunbook.run r JOIN pg_stat_activity a ON a.pid = r.worker_pid"
                            " AND a.backend_start = r.worker_started_at WHERE r.id = $1",
                            {run_id})
                .empty();
}

bool run_is_at_table(int64_t run_id, int64_t task_id)
{
    return !pg::house_query("SELECT 1 FROM opsrunbook.task t WHERE t.id = $2 AND EXISTS (" +
                                others_at_the_table + ")",
                            {run_id, task_id})
                .empty();
}

std::optional<ClaimedTask> claim_task(const pg::WorkerRequest &request, const Share &share)
{
    for (;;) {
        // Tasks to be tried again come after those not tried yet.  Once the window has closed, none starts. A
        // table has one task at a time: the worker that is at it takes the next one.
        const pg::Result next = pg::house_query(
            "SELECT t.id, t.kind, t.relation, t.object_name, t.command, coalesce(s.attempt, 0) + 1 AS attempt"
            " FROM opsrunbook.run_task r JOIN opsrunbook.task t ON t.id = r.task_id"
            " LEFT JOIN LATERAL (SELECT max(x.attempt) AS attempt FROM opsrunbook.task_start x WHERE "
            "x.task_id = t.id) s ON true"
            " LEFT JOIN opsrunbook.task_end e ON e.task_id = t.id AND e.attempt = coalesce(s.attempt, 0)"
            " WHERE r.run_id = $1 AND r.position IS NOT NULL AND t.background = $2"
            " AND (t.emergency OR NOT $3) AND (e.retry_at <= clock_timestamp() OR (s.attempt IS NULL AND "
            "e.task_id IS NULL))"
            " AND (t.emergency OR NOT EXISTS (SELECT FROM opsrunbook.run w WHERE w.id = r.run_id"
            " AND clock_timestamp() > w.started_at + w.window_seconds * interval '1 second'))"
            " AND NOT EXISTS (" +
                others_at_the_table +
                ") ORDER BY s.attempt NULLS FIRST, r.position LIMIT 1 FOR NO KEY UPDATE OF t SKIP LOCKED",
            {request.run_id, share.background, share.emergency_only});
        if (next.empty())
            return std::nullopt;
        ClaimedTask task{next.at(0, "id").integer(),
                         static_cast<int>(next.at(0, "attempt").integer()),
                         static_cast<uint32_t>(next.at(0, "relation").integer()),
                         next.at(0, "kind").text(),
                         next.at(0, "object_name").text(),
                         next.at(0, "command").text()};
        const Measured before = measure(task.relation);
        const pg::Result started = pg::house_query(
            "INSERT INTO opsrunbook.task_start (task_id, attempt, run_id, worker_pid, "
            "worker_started_at, bytes_before, dead_rows_before)"
            " SELECT $1, $2::int4, $3, a.pid, a.backend_start, $4, $5 FROM pg_stat_activity a WHERE "
            "a.pid = pg_backend_pid()"
            " AND NOT EXISTS (SELECT FROM opsrunbook.task_end e WHERE e.task_id = $1"
            " AND e.attempt = $2::int4 - 1 AND e.retry_at IS NULL)"
            " ON CONFLICT DO NOTHING RETURNING task_id",
            {task.id, task.attempt, request.run_id, before.bytes, before.dead_rows});
        if (!started.empty())
            return task;
    }
}

int64_t waiting_tasks(int64_t run_id, bool background)
{
    return pg::house_query(
               "SELECT count(*) FROM opsrunbook.run_task r JOIN opsrunbook.task t ON t.id = r.task_id"
               " WHERE r.run_id = $1 AND r.position IS NOT NULL AND t.background = $2"
               " AND NOT EXISTS (SELECT FROM opsrunbook.task_start s WHERE s.task_id = t.id)"
               " AND NOT EXISTS (SELECT FROM opsrunbook.task_end e WHERE e.task_id = t.id)",
               {run_id, background})
        .at(0, size_t{0})
        .integer();
}

std::optional<double> seconds_to_retry(int64_t run_id, bool background)
{
    const Value seconds =
        pg::house_query(
            "SELECT min(extract(epoch FROM e.retry_at - clock_timestamp()))::float8"
            " FROM opsrunbook.run_task r JOIN opsrunbook.run w ON w.id = r.run_id"
            " JOIN opsrunbook.task t ON t.id = r.task_id JOIN opsrunbook.task_end e ON e.task_id = t.id"
            " WHERE r.run_id = $1 AND r.position IS NOT NULL AND t.background = $2"
            " AND NOT EXISTS (SELECT FROM opsrunbook.task_start s WHERE s.task_id = t.id AND s.attempt > "
            "e.attempt)"
            " AND (t.emergency OR w.window_seconds IS NULL"
            " OR greatest(e.retry_at, clock_timestamp()) <= w.started_at + w.window_seconds * interval '1 "
            "second')",
            {run_id, background})
            .at(0, size_t{0});
    return seconds.is_null() ? std::nullopt : std::optional(seconds.real());
}

void hold_back(int64_t run_id, const std::string &reason, bool for_this_run)
{
    pg::house_query(
        "UPDATE opsrunbook.run_task r SET position = CASE WHEN $3 THEN NULL ELSE position END, decision = $2"
        " WHERE r.run_id = $1 AND r.position IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM opsrunbook.task_start s WHERE s.task_id = r.task_id)"
        " AND NOT EXISTS (SELECT FROM opsrunbook.task_end e WHERE e.task_id = r.task_id)",
        {run_id, (for_this_run ? "carried over, the server is busy: " : "") + reason, for_this_run});
}

void write_end(int64_t task_id, int attempt, uint32_t relation, const TaskEnd &end)
{
    const Measured after = measure(relation);
    pg::house_query(
        "INSERT INTO opsrunbook.task_end (task_id, attempt, status, retry_at, sqlstate, message, "
        "bytes_after, "
        "dead_rows_after)"
        " VALUES ($1, $2::int4, $3, clock_timestamp() + $4::float8 * interval '1 second', $5, $6, $7, $8) "
        "ON CONFLICT DO NOTHING",
        {task_id, attempt, end.status, end.retry_seconds ? Value(*end.retry_seconds) : Value(),
         text_or_null(end.sqlstate), end.message, after.bytes, after.dead_rows});
}

bool end_waiting(int64_t task_id, uint32_t relation, const TaskEnd &end)
{
    // Whoever claims the task locks it, too: what is read after this is what stays.
    pg::house_query("SELECT FROM opsrunbook.task WHERE id = $1 FOR NO KEY UPDATE", {task_id});
    const pg::Result waiting = pg::as_house_owner([task_id] {
        return pg::query_latest(
            "SELECT s.attempt::int8 FROM (SELECT coalesce(max(x.attempt), 0) AS attempt"
            " FROM opsrunbook.task_start x WHERE x.task_id = $1) s LEFT JOIN opsrunbook.task_end e"
            " ON e.task_id = $1 AND e.attempt = s.attempt"
            " WHERE e.retry_at IS NOT NULL OR (s.attempt = 0 AND e.task_id IS NULL)",
            {task_id});
    });
    if (waiting.empty())
        return false;
    const Measured after = measure(relation);
    return !pg::house_query("INSERT INTO opsrunbook.task_end AS e (task_id, attempt, status, sqlstate, "
                            "message, bytes_after, dead_rows_after) VALUES ($1, $2::int4, $3, $4, $5, $6, $7)"
                            " ON CONFLICT (task_id, attempt) DO UPDATE SET status = excluded.status,"
                            " retry_at = NULL, finished_at = excluded.finished_at, sqlstate = "
                            "excluded.sqlstate, message = excluded.message"
                            " WHERE e.retry_at IS NOT NULL RETURNING e.task_id",
                            {task_id, waiting.at(0, size_t{0}), end.status, text_or_null(end.sqlstate),
                             end.message, after.bytes, after.dead_rows})
                .empty();
}

Measured measure(uint32_t relation)
{
    const pg::Result dead = pg::query(
        "SELECT coalesce(sum(pg_stat_get_dead_tuples(c.oid)), 0)::int8 FROM pg_class t JOIN pg_class c"
        " ON c.oid IN (t.oid, t.reltoastrelid) WHERE t.oid = $1::oid",
        {static_cast<int64_t>(relation)});
    return {pg::table_file_bytes(relation), dead.at(0, size_t{0}).integer()};
}

std::string lock_holders(uint32_t relation)
{
    return pg::house_query(
               "SELECT string_agg(format('process %s (%s) holds %s', l.pid, coalesce(a.usename, "
               "a.backend_type, '?'), l.mode), ', ')"
               " FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = "
               "'relation' AND l.granted"
               " AND l.relation = $1::oid AND l.pid <> pg_backend_pid()"
               " AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')",
               {static_cast<int64_t>(relation)})
        .at(0, size_t{0})
        .text();
}

} // namespace opsrunbook::maintenance
