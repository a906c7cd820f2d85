#include "maintenance/schedule/job_entry.hpp"

#include "base/cron.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/schedule/task_types.hpp"
#include "pg/database.hpp"
#include "pg/notice.hpp"
#include "pg/role.hpp"
#include "pg/scheduler.hpp"
#include "pg/timezone.hpp"
#include "pg/worker.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;

constexpr size_t longest_name = 200;
constexpr int64_t longest_seconds = int64_t{30} * 86400;

Value other_job(const NewJob &job)
{
    if (job.after.empty())
        return {};
    const pg::Result other = pg::house_query("SELECT id FROM opsrunbook.job WHERE name = $1", {job.after});
    if (other.empty())
        throw Error(ErrorKind::undefined, format("job \"%s\" does not exist", job.after.c_str()),
                    format("Job \"%s\" was to run after it.", job.name.c_str()),
                    "The jobs of this database are in opsrunbook.jobs.");
    const bool circle =
        pg::house_query(
            "WITH RECURSIVE earlier AS (SELECT id, name, after_job FROM opsrunbook.job WHERE name = $1"
            " UNION SELECT j.id, j.name, j.after_job FROM opsrunbook.job j JOIN earlier e ON e.after_job = "
            "j.id)"
            " SELECT FROM earlier WHERE name = $2",
            {job.after, job.name})
            .processed > 0;
    if (circle)
        throw Error(ErrorKind::invalid_input, format("job \"%s\" would wait for itself", job.name.c_str()),
                    format("Job \"%s\" runs after it.", job.after.c_str()));
    return other.at(0, size_t{0});
}

void require_valid(const NewJob &job)
{
    if (job.name.size() > longest_name)
        throw Error(ErrorKind::invalid_input, "a job's name is too long",
                    format("It has %zu bytes; at most %zu are allowed.", job.name.size(), longest_name));
    if (job.cron.is_null() == job.after.empty() && job.run_at.is_null())
        throw Error(ErrorKind::invalid_input, "a job needs either a schedule or a job to run after", "",
                    "Give cron, or after with cron => NULL.");
    if (!job.cron.is_null())
        base::parse_schedule(job.cron.text());
    known_time_zone(job.timezone);
    if (job.missed != "skip" && job.missed != "run_once" && job.missed != "run_all")
        throw Error(ErrorKind::invalid_input, "invalid policy for missed runs",
                    format("It is \"%s\".", job.missed.c_str()), "It must be skip, run_once or run_all.");
    require_range("max_retries", job.max_retries, 0, 1000);
    require_range("retry_seconds", job.retry_seconds, 1, longest_seconds);
    require_range("jitter_seconds", job.jitter_seconds, 0, longest_seconds);
    if (!job.timeout_seconds.is_null())
        require_range("timeout_seconds", job.timeout_seconds.integer(), 1, 2'000'000);
    pg::require_single_statement(job.command, format("A command is one SQL statement, or one of these: %s.",
                                                     task_type_names().c_str()));
}

} // namespace

void require_range(const char *what, int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most)
        throw Error(ErrorKind::invalid_input, format("%s is out of range", what),
                    format("It is %lld; it must be from %lld to %lld.", static_cast<long long>(value),
                           static_cast<long long>(least), static_cast<long long>(most)));
}

const TimeZone &known_time_zone(const std::string &name)
{
    const TimeZone *const zone = pg::time_zone(name);
    if (!zone)
        throw Error(ErrorKind::invalid_input, format("time zone \"%s\" is not known", name.c_str()), "",
                    "The names are in pg_timezone_names.");
    return *zone;
}

std::optional<ExistingJob> find_job(const std::string &name)
{
    const pg::Result job =
        pg::house_query("SELECT id, role FROM opsrunbook.job WHERE name = $1 FOR UPDATE", {name});
    if (job.empty())
        return std::nullopt;
    return ExistingJob{job.at(0, "id").integer(), job.at(0, "role").text()};
}

void require_own(const std::string &name, const ExistingJob &job)
{
    const std::string caller = pg::current_user_name();
    if (pg::is_superuser())
        return;
    const bool same_role =
        pg::house_query("SELECT FROM pg_roles r LEFT JOIN opsrunbook.job_role k ON k.job_id = $2"
                        " WHERE r.rolname = $1 AND (k.role_oid IS NULL OR k.role_oid = r.oid)",
                        {caller, job.id})
            .processed > 0;
    if (caller != job.role || !same_role)
        throw Error(ErrorKind::not_allowed, format("permission denied for job \"%s\"", name.c_str()),
                    format("It belongs to role %s.", base::quote_identifier(job.role).c_str()),
                    "Its role or a superuser may change it.");
}

void note_role(int64_t id)
{
    pg::house_query(
        "INSERT INTO opsrunbook.job_role (job_id, role_oid) SELECT j.id, r.oid FROM opsrunbook.job j"
        " JOIN pg_roles r ON r.rolname = j.role WHERE j.id = $1"
        " ON CONFLICT (job_id) DO UPDATE SET role_oid = excluded.role_oid",
        {id});
}

namespace {

void take_over(const NewJob &job, const ExistingJob &existing)
{
    const std::string caller = pg::current_user_name();
    if (existing.role != caller) {
        pg::house_query("UPDATE opsrunbook.job SET role = $2 WHERE id = $1", {existing.id, caller});
        pg::notice(format("job \"%s\" runs as role %s from now on; it was scheduled by role %s",
                          job.name.c_str(), base::quote_identifier(caller).c_str(),
                          base::quote_identifier(existing.role).c_str()));
    }
    note_role(existing.id);
}

} // namespace

int64_t write_job(const NewJob &job)
{
    require_valid(job);
    const auto existing = find_job(job.name);
    if (existing)
        require_own(job.name, *existing);
    const Value after = other_job(job);
    const pg::Parameters values = {job.name,           job.cron,
                                   job.run_at,         after,
                                   job.command,        job.timezone,
                                   job.missed,         job.max_retries,
                                   job.retry_seconds,  job.timeout_seconds,
                                   job.jitter_seconds, job.enabled};
    int64_t id = 0;
    if (existing) {
        id = existing->id;
        pg::house_query(
            "UPDATE opsrunbook.job SET cron = $2, run_at = $3::timestamptz, after_job = $4::bigint, command "
            "= $5, timezone = $6,"
            " missed = $7, max_retries = $8, retry_seconds = $9, timeout_seconds = $10::integer,"
            " jitter_seconds = $11, enabled = $12, since = clock_timestamp(), problem = NULL, run_now = false"
            " WHERE name = $1",
            values);
        if (job.take_over)
            take_over(job, *existing);
    }
    else {
        pg::Parameters with_role = values;
        with_role.emplace_back(pg::current_user_name());
        id = pg::house_query(
                 "INSERT INTO opsrunbook.job (name, cron, run_at, after_job, command, timezone, missed,"
                 " max_retries, retry_seconds, timeout_seconds, jitter_seconds, enabled, role)"
                 " VALUES ($1, $2, $3::timestamptz, $4::bigint, $5, $6, $7, $8, $9, $10::integer, $11, "
                 "$12, $13) RETURNING id",
                 with_role)
                 .at(0, size_t{0})
                 .integer();
        note_role(id);
    }
    pg::poke_scheduler_at_commit();
    return id;
}

void warn_unless_running()
{
    if (!pg::scheduler_running())
        pg::warning(
            "the scheduler is not running: the job waits until it is",
            "Put opsrunbook into shared_preload_libraries, leave opsrunbook.scheduler on, and restart.");
}

} // namespace opsrunbook::maintenance
