#include "maintenance/maintenance.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/journal.hpp"
#include "maintenance/observed_plan.hpp"
#include "maintenance/schedule/state.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/catalog/server.hpp"
#include "pg/database.hpp"
#include "pg/notice.hpp"
#include "pg/procedure.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"
#include "pg/worker.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::format;
using base::Value;

// A run with the calling session's rights and settings.
pg::WorkerRequest new_run(TaskFilter filter)
{
    pg::WorkerRequest request = pg::request_from_session(pg::Work::plan_and_run, next_run_id());
    request.lock_timeout_ms = pg::settings().lock_timeout_ms;
    request.max_parallel_tasks = pg::settings().max_parallel_tasks;
    request.seqscan_limit_mb = pg::settings().retention_seqscan_limit_mb;
    request.only = static_cast<int32_t>(filter);
    request.asking_pid = pg::process_id();
    return request;
}

void wait_for_worker(const pg::WorkerRequest &request)
{
    const auto worker = pg::Worker::launch(request);
    if (!worker)
        pg::throw_no_worker_slot();
    worker->wait();
}

int64_t run_and_wait(TaskFilter filter)
{
    const pg::WorkerRequest request = new_run(filter);
    wait_for_worker(request);
    return request.run_id;
}

// What the workers committed meanwhile: seen with a snapshot taken now.
pg::Result tasks_of(int64_t run_id)
{
    return pg::as_house_owner([run_id] {
        const pg::Result run =
            pg::query_latest("SELECT tables_seen FROM opsrunbook.run WHERE id = $1", {run_id});
        if (run.empty())
            throw base::Error(
                base::ErrorKind::not_ready, "the maintenance worker ended before it wrote its plan",
                format("Run %lld left no row in opsrunbook.run.", static_cast<long long>(run_id)),
                "Look for the worker's error in the server log; a role that may not log in or connect to "
                "this "
                "database cannot run workers.");
        return pg::query_latest(
            "SELECT t.task_id, t.kind, CASE WHEN w.behind THEN 'pending' ELSE t.status END AS status,"
            " CASE WHEN w.behind THEN format('goes on behind in a worker of its own: SELECT * FROM "
            "opsrunbook.tasks WHERE task_id = %s', t.task_id) ELSE t.message END AS message, t.object_name, "
            "t.started_at, t.duration,"
            " greatest(t.bytes_before - t.bytes_after, 0) AS reclaimed,"
            " greatest(t.dead_rows_before - t.dead_rows_after, 0) AS removed, t.command, t.reason"
            " FROM opsrunbook.run_task r JOIN opsrunbook.tasks t ON t.task_id = r.task_id"
            " CROSS JOIN LATERAL (SELECT t.background AND r.position IS NOT NULL"
            " AND t.status IN ('pending', 'running') AS behind) w"
            " WHERE r.run_id = $1 ORDER BY r.position NULLS LAST, t.task_id",
            {run_id});
    });
}

Value milliseconds(const Value &duration)
{
    const auto interval = duration.interval();
    return interval ? Value(interval->microseconds / 1000) : Value();
}

constexpr const char *nothing_to_do = "nothing needs maintenance now";

struct Sum {
    int vacuumed = 0, analyzed = 0, rebuilt = 0, queued = 0, failed = 0, skipped = 0;
    int64_t reclaimed = 0, removed = 0;
    double seconds = 0;
};

Sum sum_of(const pg::Result &tasks)
{
    Sum sum;
    for (size_t r = 0; r < tasks.size(); ++r) {
        const std::string &status = tasks.at(r, "status").text();
        const std::string &command = tasks.at(r, "command").text();
        const bool completed = status == "completed";
        sum.vacuumed += completed && command.starts_with("VACUUM");
        sum.analyzed += completed && command.find("ANALYZE") != std::string::npos;
        sum.rebuilt += completed && command.find("INDEX CONCURRENTLY") != std::string::npos;
        sum.queued += status == "pending" || status == "running";
        sum.failed += status == "failed";
        sum.skipped += status == "skipped";
        sum.reclaimed += tasks.at(r, "reclaimed").integer();
        sum.removed += tasks.at(r, "removed").integer();
        if (const auto duration = tasks.at(r, "duration").interval())
            sum.seconds += duration->seconds();
    }
    return sum;
}

// For a job or a script, which see no notices.  The work of the other tasks is committed.
void raise_failures(const pg::Result &tasks)
{
    const int failed = sum_of(tasks).failed;
    if (failed == 0)
        return;
    std::vector<std::string> failures;
    for (size_t r = 0; r < tasks.size(); ++r)
        if (tasks.at(r, "status").text() == "failed")
            failures.push_back(tasks.at(r, "command").text() + ": " + tasks.at(r, "message").text());
    throw base::Error(
        base::ErrorKind::work_failed, format("%d of %zu maintenance tasks failed", failed, tasks.size()),
        base::join(failures, "\n"),
        "The others are done. SELECT * FROM opsrunbook.tasks WHERE status = 'failed'; a task that is "
        "still needed is part of the next run.");
}

} // namespace

void run_automated_maintenance(const pg::Arguments &, pg::Rows &rows)
{
    const pg::Result tasks = tasks_of(run_and_wait(TaskFilter::everything));
    for (size_t r = 0; r < tasks.size(); ++r)
        rows.add({tasks.at(r, "task_id"), tasks.at(r, "kind"), tasks.at(r, "status"), tasks.at(r, "message"),
                  tasks.at(r, "object_name"), tasks.at(r, "started_at"), tasks.at(r, "duration"),
                  tasks.at(r, "reclaimed")});
    if (tasks.empty())
        rows.add({Value(), "check", "skipped", nothing_to_do, Value(), Value(), Value(), 0});
}

void perform_routine_maintenance(const pg::Arguments &, pg::Rows &rows)
{
    const pg::Result tasks = tasks_of(run_and_wait(TaskFilter::everything));
    for (size_t r = 0; r < tasks.size(); ++r)
        rows.add(
            {format("%s %s", tasks.at(r, "kind").text().c_str(), tasks.at(r, "object_name").text().c_str()),
             tasks.at(r, "status"), tasks.at(r, "message"), milliseconds(tasks.at(r, "duration"))});
    if (tasks.empty())
        rows.add({"check", "skipped", nothing_to_do, 0});
}

void perform_maintenance(const pg::Arguments &, pg::Rows &rows)
{
    const pg::Result tasks = tasks_of(run_and_wait(TaskFilter::everything));
    for (size_t r = 0; r < tasks.size(); ++r) {
        const auto duration = tasks.at(r, "duration").interval();
        // Runbooks grep their logs for FAILED.
        const std::string &status = tasks.at(r, "status").text();
        rows.add({format(
            "%s: %s: %s%s", tasks.at(r, "command").text().c_str(),
            status == "failed" ? "FAILED" : status.c_str(), tasks.at(r, "message").text().c_str(),
            duration ? format(" (%s)", base::duration_text(duration->seconds()).c_str()).c_str() : "")});
    }
    if (tasks.empty())
        rows.add({nothing_to_do});
}

base::Value optimize_database(const pg::Arguments &)
{
    const Sum sum = sum_of(tasks_of(run_and_wait(TaskFilter::everything)));
    std::string text =
        format("%s vacuumed, %s analyzed, %s rebuilt or removed, %s queued behind; %s removed, %s given "
               "back, %s of work",
               base::plural(sum.vacuumed, "table").c_str(), base::count_text(sum.analyzed).c_str(),
               base::plural(sum.rebuilt, "index").c_str(), base::count_text(sum.queued).c_str(),
               base::plural(sum.removed, "dead row").c_str(), base::size_text(sum.reclaimed).c_str(),
               base::duration_text(sum.seconds).c_str());
    if (sum.failed)
        text += format("; %d FAILED", sum.failed);
    if (sum.skipped)
        text += format("; %d skipped", sum.skipped);
    if (sum.failed || sum.skipped)
        text += ": see opsrunbook.tasks";
    return text;
}

base::Value update_table_statistics(const pg::Arguments &)
{
    return sum_of(tasks_of(run_and_wait(TaskFilter::analyze_only))).analyzed;
}

base::Value auto_schedule_maintenance(const pg::Arguments &)
{
    const observed::Relations relations = pg::read_relations();
    const observed::Server server = pg::read_server();
    const std::vector<PendingTask> pending = pending_tasks();
    const std::vector<PastRun> history = past_runs();
    const std::string role = pg::current_user_name();
    int queued = 0;
    for (const PlannedTask &task : observed_plan(relations, server, TaskFilter::everything, 0)) {
        const bool waits = std::any_of(pending.begin(), pending.end(), [&task](const PendingTask &other) {
            return other.relation == task.relation && other.command == task.command;
        });
        if (waits || !pg::can_maintain(task.relation))
            continue;
        write_task(task, predict_duration(task.work, history), role);
        ++queued;
    }
    return queued;
}

void run_maintenance(const pg::Arguments &arguments)
{
    const auto longest = arguments.value(0).interval();
    if (longest && longest->microseconds <= 0)
        throw base::Error(base::ErrorKind::invalid_input, "the window must be longer than nothing",
                          format("It is %s.", base::duration_text(longest->seconds()).c_str()),
                          "CALL opsrunbook.run_maintenance('2 hours');");
    pg::WorkerRequest request = new_run(TaskFilter::everything);
    request.everything = true;
    request.verify_interval_days = static_cast<int16_t>(pg::settings().verify_interval_days);
    if (longest)
        request.window_seconds = longest->seconds();
    pg::commit_procedure(); // from here on no snapshot is held, so REINDEX CONCURRENTLY has nothing to wait
                            // for
    wait_for_worker(request);
    const pg::Result tasks = tasks_of(request.run_id);
    for (size_t r = 0; r < tasks.size(); ++r)
        pg::notice(format("%s: %s: %s", tasks.at(r, "command").text().c_str(),
                          tasks.at(r, "status").text().c_str(), tasks.at(r, "message").text().c_str()));
    if (tasks.empty())
        pg::notice(nothing_to_do);
    raise_failures(tasks);
}

void plan_maintenance(const pg::Arguments &arguments, pg::Rows &rows)
{
    const auto longest = arguments.value(0).interval();
    const observed::Relations relations = pg::read_relations();
    const std::vector<PastRun> history = past_runs();
    const std::vector<PlannedTask> tasks = observed_plan(relations, pg::read_server(), TaskFilter::everything,
                                                         pg::settings().verify_interval_days);
    std::vector<Candidate> candidates;
    std::vector<Duration> durations;
    for (const PlannedTask &task : tasks) {
        Candidate candidate;
        candidate.id = static_cast<int64_t>(candidates.size());
        candidate.benefit = task.benefit;
        durations.push_back(predict_duration(task.work, history));
        candidate.seconds = durations.back().seconds;
        candidate.emergency = task.emergency;
        candidates.push_back(candidate);
    }
    Window window;
    window.workers = pg::settings().max_parallel_tasks;
    if (longest)
        window.seconds = longest->seconds();
    const WindowPlan plan = plan_window(candidates, window);
    const auto add = [&](size_t at, Value position, const std::string &decision) {
        const PlannedTask &task = tasks[at];
        rows.add({std::move(position), std::string(task_kind_text(task.work.kind)), task.object, task.command,
                  task.reason, durations[at].seconds, durations[at].basis, task.benefit, decision,
                  pg::can_maintain(task.relation), task.background});
    };
    for (size_t i = 0; i < plan.now.size(); ++i)
        add(plan.now[i].candidate, i + 1, plan.now[i].reason);
    for (const CarriedOver &later : plan.later)
        add(later.candidate, Value(), later.reason);
}

// Signals the worker only while it is at this task: it cannot write the task's end meanwhile, and so not go
// on to another.
bool cancel_running(int64_t id)
{
    pg::lock_task_end(id);
    pg::query("SELECT pg_stat_clear_snapshot()");
    const Value worker = pg::as_house_owner([id] {
        const pg::Result running =
            pg::query_latest("SELECT s.worker_pid::int8 FROM opsrunbook.task_start s JOIN pg_stat_activity a"
                             " ON a.pid = s.worker_pid AND a.backend_start = s.worker_started_at"
                             " WHERE s.task_id = $1 AND NOT EXISTS (SELECT FROM opsrunbook.task_end e"
                             " WHERE e.task_id = s.task_id AND e.attempt = s.attempt)",
                             {id});
        return running.empty() ? Value() : running.at(0, size_t{0});
    });
    const bool sent = !worker.is_null() &&
                      pg::query("SELECT pg_cancel_backend($1::int4)", {worker}).at(0, size_t{0}).boolean();
    pg::unlock_task_end(id);
    return sent;
}

base::Value cancel_task(const pg::Arguments &arguments)
{
    const int64_t id = arguments.integer(0);
    const pg::Result task = pg::as_house_owner([id] {
        return pg::query("SELECT status, role, worker_pid, relation FROM opsrunbook.tasks WHERE task_id = $1",
                         {id});
    });
    if (task.empty())
        throw base::Error(base::ErrorKind::undefined,
                          format("task %lld does not exist", static_cast<long long>(id)), "",
                          "SELECT task_id, object_name, status FROM opsrunbook.tasks lists the tasks.");
    const std::string role = task.at(0, "role").text();
    if (!pg::has_privileges_of(role) && !pg::has_privileges_of("pg_signal_backend"))
        throw base::Error(base::ErrorKind::not_allowed, "permission denied to cancel the task",
                          format("The task belongs to role %s.", base::quote_identifier(role).c_str()),
                          "Cancel it as that role, or as a member of pg_signal_backend.");
    const std::string status = task.at(0, "status").text();
    if (status == "pending")
        return end_waiting(id, static_cast<uint32_t>(task.at(0, "relation").integer()),
                           {"skipped", "cancelled by " + pg::current_user_name(), "", {}});
    return status == "running" && cancel_running(id);
}

void get_maintenance_status(const pg::Arguments &, pg::Rows &rows)
{
    const pg::Result status = pg::as_house_owner([] {
        return pg::query(
            "SELECT count(*) AS total, count(*) FILTER (WHERE status = 'pending') AS pending,"
            " count(*) FILTER (WHERE status = 'running') AS running,"
            " count(*) FILTER (WHERE status = 'completed') AS completed,"
            " count(*) FILTER (WHERE status = 'failed') AS failed,"
            " count(*) FILTER (WHERE status = 'failed' AND coalesce(finished_at, started_at) > now() - "
            "interval '24 hours') AS failed_24h,"
            " avg(duration) FILTER (WHERE status = 'completed') AS average,"
            " (SELECT max(started_at) FROM opsrunbook.run) AS last_run,"
            " (SELECT format('%s %s', p.kind, p.object_name) FROM opsrunbook.tasks p WHERE p.status = "
            "'pending'"
            " ORDER BY p.emergency DESC, p.benefit DESC LIMIT 1) AS next_task FROM opsrunbook.tasks");
    });
    const SchedulerState scheduler = scheduler_state();
    const Value next_task =
        scheduler.next_job.empty() ? status.at(0, "next_task") : Value(scheduler.next_job);
    rows.add({status.at(0, "total"), status.at(0, "pending"), status.at(0, "running"),
              status.at(0, "completed"), status.at(0, "failed"), status.at(0, "failed_24h"),
              status.at(0, "average"), scheduler.running, status.at(0, "last_run"), scheduler.next_run,
              next_task});
}

} // namespace opsrunbook::maintenance
