#include "maintenance/schedule/job_book.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "pg/database.hpp"
#include "pg/timezone.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Value;

MissedRuns missed_runs_of(const std::string &text)
{
    return text == "skip" ? MissedRuns::skip : text == "run_all" ? MissedRuns::run_all : MissedRuns::run_once;
}

RunOutcome outcome_of(const std::string &status, const std::string &sqlstate)
{
    if (status == "completed")
        return RunOutcome::succeeded;
    if (status == "failed")
        return RunOutcome::failed;
    return sqlstate.empty() ? RunOutcome::none : RunOutcome::canceled;
}

void read_last_run(const pg::Result &rows, size_t r, BookedJob &booked)
{
    const Value &run = rows.at(r, "run_id");
    if (run.is_null())
        return;
    Job &job = booked.job;
    booked.run_id = run.integer();
    booked.last_status = rows.at(r, "status").text();
    booked.last_message = rows.at(r, "message").text();
    booked.last_started = rows.at(r, "started_at").timestamp();
    const auto finished = rows.at(r, "finished_at").timestamp();
    job.last_scheduled_run = rows.at(r, "scheduled_for").timestamp();
    if (!finished) {
        booked.worker_unknown = rows.at(r, "worker_pid").is_null();
        job.running_since = booked.last_started ? booked.last_started : rows.at(r, "launched_at").timestamp();
        return;
    }
    job.last_finished = finished;
    job.last_outcome = outcome_of(booked.last_status, rows.at(r, "sqlstate").text());
    if (job.last_outcome == RunOutcome::failed)
        job.failed_attempts = static_cast<int>(rows.at(r, "attempt").integer());
}

void read_trigger(const pg::Result &rows, size_t r, BookedJob &booked)
{
    if (booked.run_at)
        booked.job.trigger = Once{*booked.run_at};
    else if (!rows.at(r, "after_job").is_null())
        booked.job.trigger = After{rows.at(r, "after_job").integer()};
    else
        try {
            booked.job.trigger = base::parse_schedule(booked.cron);
            booked.job.zone = pg::time_zone(booked.timezone);
            if (!booked.job.zone)
                booked.problem = base::format("time zone \"%s\" is not known", booked.timezone.c_str());
        }
        catch (const base::Error &error) {
            booked.problem = error.message;
        }
    if (!booked.problem.empty())
        booked.job.enabled = false;
}

} // namespace

std::vector<BookedJob> read_jobs()
{
    const pg::Result rows = pg::house_query(
        "SELECT j.id, j.name, j.cron, j.run_at, j.after_job, o.name AS after, j.command, j.timezone, "
        "j.missed,"
        " j.max_retries, j.retry_seconds, j.timeout_seconds, j.jitter_seconds, j.enabled, j.role, j.since,"
        " j.run_now, j.problem, n.id AS run_id, n.scheduled_for, n.finished_at, n.status, n.sqlstate, "
        "n.message,"
        " n.attempt, n.launched_at, n.started_at, n.worker_pid, s.finished_at AS last_succeeded"
        " FROM opsrunbook.job j LEFT JOIN opsrunbook.job o ON o.id = j.after_job"
        " LEFT JOIN LATERAL (SELECT * FROM opsrunbook.job_run r WHERE r.job_id = j.id ORDER BY r.id DESC "
        "LIMIT 1) n"
        " ON true LEFT JOIN LATERAL (SELECT r.finished_at FROM opsrunbook.job_run r WHERE r.job_id = j.id"
        " AND r.status = 'completed' ORDER BY r.id DESC LIMIT 1) s ON true ORDER BY j.id");
    std::vector<BookedJob> jobs;
    for (size_t r = 0; r < rows.size(); ++r) {
        BookedJob booked;
        booked.name = rows.at(r, "name").text();
        booked.cron = rows.at(r, "cron").text();
        booked.command = rows.at(r, "command").text();
        booked.timezone = rows.at(r, "timezone").text();
        booked.role = rows.at(r, "role").text();
        booked.after = rows.at(r, "after").text();
        booked.run_at = rows.at(r, "run_at").timestamp();
        booked.missed = rows.at(r, "missed").text();
        booked.enabled = rows.at(r, "enabled").boolean();
        booked.run_now = rows.at(r, "run_now").boolean();
        booked.noted_problem = rows.at(r, "problem").text();
        Job &job = booked.job;
        job.id = rows.at(r, "id").integer();
        job.enabled = booked.enabled;
        job.since = rows.at(r, "since").timestamp().value_or(base::Timestamp{});
        job.missed_runs = missed_runs_of(booked.missed);
        job.max_retries = static_cast<int>(rows.at(r, "max_retries").integer());
        job.retry_seconds = rows.at(r, "retry_seconds").real();
        job.timeout_seconds = rows.at(r, "timeout_seconds").real();
        job.jitter_seconds = rows.at(r, "jitter_seconds").real();
        job.last_succeeded = rows.at(r, "last_succeeded").timestamp();
        // What was asked for at a moment in the past is due, however late.
        if (booked.run_at && *booked.run_at < job.since)
            job.since = *booked.run_at;
        read_trigger(rows, r, booked);
        read_last_run(rows, r, booked);
        jobs.push_back(std::move(booked));
    }
    return jobs;
}

std::vector<Job> decidable(const std::vector<BookedJob> &jobs)
{
    std::vector<Job> list;
    list.reserve(jobs.size());
    for (const BookedJob &booked : jobs)
        list.push_back(booked.job);
    return list;
}

std::vector<int64_t> end_crashed_runs()
{
    const pg::Result ended = pg::house_query(
        "UPDATE opsrunbook.job_run r SET finished_at = clock_timestamp(), status = 'failed',"
        " message = CASE WHEN r.worker_pid IS NULL THEN 'worker ended without reporting, before it started "
        "the"
        " command' ELSE format('worker ended without reporting: process %s was killed, or the server "
        "restarted',"
        " r.worker_pid) END"
        " WHERE r.finished_at IS NULL AND CASE WHEN r.worker_pid IS NULL"
        " THEN r.launched_at < greatest(pg_postmaster_start_time(), clock_timestamp() - interval '15 "
        "seconds')"
        " ELSE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = r.worker_pid AND a.backend_start ="
        " r.worker_started_at) END RETURNING r.id");
    std::vector<int64_t> runs;
    for (size_t r = 0; r < ended.size(); ++r)
        runs.push_back(ended.at(r, size_t{0}).integer());
    return runs;
}

int64_t write_launch(const BookedJob &job, const Launch &launch)
{
    if (job.run_now)
        pg::house_query("UPDATE opsrunbook.job SET run_now = false WHERE id = $1", {job.job.id});
    return pg::house_query(
               "INSERT INTO opsrunbook.job_run (job_id, job_name, scheduled_for, attempt, reason, role, "
               "command)"
               " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
               {job.job.id, job.name, launch.scheduled_for, launch.attempt, launch_reason_text(launch.reason),
                job.role, job.command})
        .at(0, size_t{0})
        .integer();
}

void write_passed_over(const BookedJob &job, base::Timestamp scheduled_for)
{
    pg::house_query(
        "INSERT INTO opsrunbook.job_run (job_id, job_name, scheduled_for, attempt, reason, role, command,"
        " finished_at, status, message) VALUES ($1, $2, $3, 0, 'passed over', $4, $5, clock_timestamp(),"
        " 'skipped', 'its time passed while it could not run')",
        {job.job.id, job.name, scheduled_for, job.role, job.command});
}

void forget_launch(int64_t run_id, bool run_now)
{
    pg::house_query(
        "WITH forgotten AS (DELETE FROM opsrunbook.job_run WHERE id = $1 AND worker_pid IS NULL"
        " AND finished_at IS NULL RETURNING job_id)"
        " UPDATE opsrunbook.job SET run_now = true WHERE id IN (SELECT job_id FROM forgotten) AND $2",
        {run_id, run_now});
}

void write_problem(const BookedJob &job)
{
    pg::house_query("UPDATE opsrunbook.job SET problem = nullif($2, '') WHERE id = $1",
                    {job.job.id, job.problem});
}

void write_run_end(int64_t run_id, const RunEnd &end)
{
    pg::house_query(
        "UPDATE opsrunbook.job_run SET finished_at = clock_timestamp(), status = $2, sqlstate = nullif($3, "
        "''),"
        " message = $4 WHERE id = $1 AND finished_at IS NULL",
        {run_id, end.status, end.sqlstate, end.message});
}

std::optional<ClaimedRun> claim_run(int64_t run_id)
{
    const pg::Result run = pg::house_query(
        "UPDATE opsrunbook.job_run r SET worker_pid = a.pid, worker_started_at = a.backend_start,"
        " started_at = clock_timestamp() FROM pg_stat_activity a, opsrunbook.job j"
        " WHERE r.id = $1 AND r.worker_pid IS NULL AND r.finished_at IS NULL AND j.id = r.job_id"
        " AND a.pid = pg_backend_pid() RETURNING r.job_id, r.command, j.timeout_seconds",
        {run_id});
    if (run.empty())
        return std::nullopt;
    return ClaimedRun{run.at(0, "job_id").integer(), run.at(0, "command").text(),
                      run.at(0, "timeout_seconds").real()};
}

std::optional<Alert> alert_of(int64_t run_id)
{
    const pg::Result run = pg::house_query(
        "SELECT r.job_id, r.job_name, r.attempt, r.role, r.sqlstate, r.message, r.scheduled_for::text AS due,"
        " current_database()::text AS database FROM opsrunbook.job_run r LEFT JOIN opsrunbook.job j ON j.id ="
        " r.job_id WHERE r.id = $1 AND r.status = 'failed' AND (j.id IS NULL OR r.attempt > j.max_retries"
        // or its retries come too seldom: the next scheduled run ended them
        " OR (SELECT p.status = 'failed' AND p.scheduled_for <> r.scheduled_for FROM opsrunbook.job_run p"
        " WHERE p.job_id = r.job_id AND p.id < r.id ORDER BY p.id DESC LIMIT 1))",
        {run_id});
    if (run.empty())
        return std::nullopt;
    const std::string message = base::one_line(run.at(0, "message").text(), 1000);
    const std::string name = base::one_line(run.at(0, "job_name").text(), 200);
    base::JsonObject payload;
    payload.add("alert", "job_failed").add("job", name).add("job_id", run.at(0, "job_id").integer());
    payload.add("run_id", run_id).add("database", run.at(0, "database").text());
    payload.add("role", run.at(0, "role").text()).add("attempt", run.at(0, "attempt").integer());
    payload.add("scheduled_for", run.at(0, "due").text()).add("sqlstate", run.at(0, "sqlstate").text());
    payload.add("message", message);
    return Alert{base::format("job \"%s\" failed: %s", name.c_str(), message.c_str()), payload.text()};
}

// Of a job that somebody changes at this moment the next turn decides.
void remove_done_jobs(int days)
{
    pg::house_query("DELETE FROM opsrunbook.job WHERE id IN (SELECT j.id FROM opsrunbook.job j"
                    " JOIN LATERAL (SELECT * FROM opsrunbook.job_run r WHERE r.job_id = j.id ORDER BY r.id "
                    "DESC LIMIT 1) n ON true"
                    " WHERE n.scheduled_for >= j.run_at AND NOT j.run_now"
                    " AND n.finished_at < now() - make_interval(days => $1::integer)"
                    " AND (n.status <> 'failed' OR NOT j.enabled)"
                    " AND NOT EXISTS (SELECT FROM opsrunbook.job a WHERE a.after_job = j.id) FOR UPDATE OF j "
                    "SKIP LOCKED)",
                    {days});
}

// The newest run of a job is all that the scheduler knows of when it ran last.
int64_t prune_runs(int64_t days, const Value &roles)
{
    return static_cast<int64_t>(
        pg::house_query(
            "DELETE FROM opsrunbook.job_run r WHERE r.finished_at < now() - make_interval(days => "
            "$1::integer)"
            " AND ($2::text[] IS NULL OR r.role = ANY ($2::text[]))"
            " AND (NOT EXISTS (SELECT FROM opsrunbook.job j WHERE j.id = r.job_id)"
            " OR EXISTS (SELECT FROM opsrunbook.job_run n WHERE n.job_id = r.job_id AND n.id > r.id))",
            {days, roles})
            .processed);
}

void prune_runs_of(int64_t job_id, int rows)
{
    pg::house_query(
        "DELETE FROM opsrunbook.job_run WHERE job_id = $1 AND id <= (SELECT r.id FROM opsrunbook.job_run r"
        " WHERE r.job_id = $1 ORDER BY r.id DESC OFFSET $2 LIMIT 1) AND finished_at IS NOT NULL",
        {job_id, rows});
}

} // namespace opsrunbook::maintenance
