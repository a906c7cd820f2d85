#include "maintenance/schedule/schedule.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/schedule/state.hpp"
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
constexpr int64_t longest_seconds = 30 * 86400;

struct NewJob {
    std::string name, command, timezone, missed = "run_once", after;
    Value cron, run_at, timeout_seconds;
    int64_t max_retries = 0, retry_seconds = 60, jitter_seconds = 0;
    bool enabled = true;
};

pg::Result house(const std::string &sql, const pg::Parameters &parameters = {})
{
    return pg::as_house_owner([&] { return pg::query(sql, parameters); });
}

std::string required(const pg::Arguments &arguments, int number, const char *what)
{
    if (arguments.is_null(number) || arguments.text(number).empty())
        throw Error(ErrorKind::invalid_input, format("a job's %s must be given", what), "",
                    "See opsrunbook.schedule().");
    return arguments.text(number);
}

void require_range(const char *what, int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most)
        throw Error(ErrorKind::invalid_input, format("%s is out of range", what),
                    format("It is %lld; it must be from %lld to %lld.", static_cast<long long>(value),
                           static_cast<long long>(least), static_cast<long long>(most)));
}

struct Existing {
    int64_t id;
    std::string role;
};

std::optional<Existing> find(const std::string &name)
{
    const pg::Result job = house("SELECT id, role FROM opsrunbook.job WHERE name = $1 FOR UPDATE", {name});
    if (job.empty())
        return std::nullopt;
    return Existing{job.at(0, "id").integer(), job.at(0, "role").text()};
}

// An own job: the role that scheduled it, or a superuser, may change it.
void require_own(const std::string &name, const Existing &job)
{
    const std::string caller = pg::current_user_name();
    if (pg::is_superuser())
        return;
    const bool same_role = house("SELECT FROM pg_roles r LEFT JOIN opsrunbook.job_role k ON k.job_id = $2"
                                 " WHERE r.rolname = $1 AND (k.role_oid IS NULL OR k.role_oid = r.oid)",
                                 {caller, job.id})
                               .processed > 0;
    if (caller != job.role || !same_role)
        throw Error(ErrorKind::not_allowed, format("permission denied for job \"%s\"", name.c_str()),
                    format("It belongs to role %s.", base::quote_identifier(job.role).c_str()),
                    "Its role or a superuser may change it.");
}

Existing own_job(const pg::Arguments &arguments)
{
    const std::string name = required(arguments, 0, "name");
    const auto job = find(name);
    if (!job)
        throw Error(ErrorKind::undefined, format("job \"%s\" does not exist", name.c_str()), "",
                    "The jobs of this database are in opsrunbook.jobs.");
    require_own(name, *job);
    return *job;
}

Value other_job(const NewJob &job)
{
    if (job.after.empty())
        return {};
    const pg::Result other = house("SELECT id FROM opsrunbook.job WHERE name = $1", {job.after});
    if (other.empty())
        throw Error(ErrorKind::undefined, format("job \"%s\" does not exist", job.after.c_str()),
                    format("Job \"%s\" was to run after it.", job.name.c_str()),
                    "The jobs of this database are in opsrunbook.jobs.");
    const bool circle =
        house("WITH RECURSIVE earlier AS (SELECT id, name, after_job FROM opsrunbook.job WHERE name = $1"
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
    if (!pg::time_zone(job.timezone))
        throw Error(ErrorKind::invalid_input, format("time zone \"%s\" is not known", job.timezone.c_str()),
                    "", "The names are in pg_timezone_names.");
    if (job.missed != "skip" && job.missed != "run_once" && job.missed != "run_all")
        throw Error(ErrorKind::invalid_input, "invalid policy for missed runs",
                    format("It is \"%s\".", job.missed.c_str()), "It must be skip, run_once or run_all.");
    require_range("max_retries", job.max_retries, 0, 1000);
    require_range("retry_seconds", job.retry_seconds, 1, longest_seconds);
    require_range("jitter_seconds", job.jitter_seconds, 0, longest_seconds);
    if (!job.timeout_seconds.is_null())
        require_range("timeout_seconds", job.timeout_seconds.integer(), 1, 2'000'000);
    pg::require_single_statement(job.command);
}

void note_role(int64_t id)
{
    house("INSERT INTO opsrunbook.job_role (job_id, role_oid) SELECT j.id, r.oid FROM opsrunbook.job j"
          " JOIN pg_roles r ON r.rolname = j.role WHERE j.id = $1"
          " ON CONFLICT (job_id) DO UPDATE SET role_oid = excluded.role_oid",
          {id});
}

int64_t write(const NewJob &job)
{
    require_valid(job);
    const auto existing = find(job.name);
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
        house(
            "UPDATE opsrunbook.job SET cron = $2, run_at = $3::timestamptz, after_job = $4::bigint, command "
            "= $5, timezone = $6,"
            " missed = $7, max_retries = $8, retry_seconds = $9, timeout_seconds = $10::integer,"
            " jitter_seconds = $11, enabled = $12, since = clock_timestamp(), problem = NULL, run_now = false"
            " WHERE name = $1",
            values);
    }
    else {
        pg::Parameters with_role = values;
        with_role.emplace_back(pg::current_user_name());
        id = house("INSERT INTO opsrunbook.job (name, cron, run_at, after_job, command, timezone, missed,"
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

struct DefaultJob {
    const char *name, *cron, *function, *command; // %s: the quoted schema
};

// The runbooks' times.  Of two with the same name the first that is installed counts.
constexpr DefaultJob default_jobs[] = {
    {"opsrunbook health observation", "* * * * *", "observe_alerts", "SELECT %s.observe_alerts()"},
    {"opsrunbook nightly maintenance", "0 3 * * *", "run_maintenance", "CALL %s.run_maintenance()"},
    {"opsrunbook nightly maintenance", "0 3 * * *", "run_automated_maintenance",
     "SELECT * FROM %s.run_automated_maintenance()"},
    {"opsrunbook maintenance queue", "0 * * * *", "auto_schedule_maintenance",
     "SELECT %s.auto_schedule_maintenance()"},
    {"opsrunbook index usage", "0 4 * * 0", "update_index_usage", "SELECT %s.update_index_usage()"},
    {"opsrunbook history cleanup", "30 4 * * *", "cleanup_maintenance_history",
     "SELECT %s.cleanup_maintenance_history(90)"},
};

// The schema of a function of this extension; empty when this version does not have it.
std::string schema_of(const char *function)
{
    const pg::Result found = pg::query(
        "SELECT n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'"
        " JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid"
        " WHERE p.proname = $1 AND e.extname = 'opsrunbook' LIMIT 1",
        {function});
    return found.empty() ? "" : base::quote_identifier(found.at(0, size_t{0}).text());
}

} // namespace

base::Value schedule(const pg::Arguments &arguments)
{
    NewJob job;
    job.name = required(arguments, 0, "name");
    job.cron = arguments.value(1);
    job.command = required(arguments, 2, "command");
    job.timezone = arguments.is_null(3) ? pg::session_time_zone_name() : arguments.text(3);
    job.missed = arguments.is_null(4) ? "run_once" : arguments.text(4);
    job.max_retries = arguments.integer(5);
    job.retry_seconds = arguments.integer(6, 60);
    job.timeout_seconds = arguments.value(7);
    job.jitter_seconds = arguments.integer(8);
    job.after = arguments.text(9);
    job.enabled = arguments.boolean(10, true);
    const int64_t id = write(job);
    warn_unless_running();
    return id;
}

base::Value run_once(const pg::Arguments &arguments)
{
    NewJob job;
    job.name = required(arguments, 0, "name");
    job.command = required(arguments, 1, "command");
    job.run_at = arguments.value(2);
    if (job.run_at.is_null())
        job.run_at = pg::clock_now();
    job.timezone = pg::session_time_zone_name();
    const int64_t id = write(job);
    warn_unless_running();
    return id;
}

base::Value run_job_now(const pg::Arguments &arguments)
{
    const Existing job = own_job(arguments);
    house("UPDATE opsrunbook.job SET run_now = true WHERE id = $1", {job.id});
    pg::poke_scheduler_at_commit();
    warn_unless_running();
    return job.id;
}

base::Value unschedule(const pg::Arguments &arguments)
{
    const Existing job = own_job(arguments);
    const pg::Result waiting =
        house("SELECT string_agg(format('\"%s\"', name), ', ' ORDER BY name) AS names FROM opsrunbook.job"
              " WHERE after_job = $1 HAVING count(*) > 0",
              {job.id});
    if (!waiting.empty())
        throw Error(ErrorKind::not_ready, "other jobs run after this one",
                    format("These wait for it: %s.", waiting.at(0, "names").text().c_str()),
                    "Unschedule them first.");
    house("DELETE FROM opsrunbook.job WHERE id = $1", {job.id});
    pg::poke_scheduler_at_commit();
    return job.id;
}

base::Value enable_job(const pg::Arguments &arguments)
{
    const Existing job = own_job(arguments);
    house("UPDATE opsrunbook.job SET enabled = true, since = clock_timestamp() WHERE id = $1", {job.id});
    if (pg::is_superuser())
        note_role(job.id);
    pg::poke_scheduler_at_commit();
    warn_unless_running();
    return job.id;
}

base::Value disable_job(const pg::Arguments &arguments)
{
    const Existing job = own_job(arguments);
    house("UPDATE opsrunbook.job SET enabled = false WHERE id = $1", {job.id});
    pg::poke_scheduler_at_commit();
    return job.id;
}

base::Value enable_default_schedule(const pg::Arguments &arguments)
{
    const std::string timezone = arguments.is_null(0) ? pg::session_time_zone_name() : arguments.text(0);
    int count = 0;
    std::string last;
    for (const DefaultJob &standard : default_jobs) {
        const std::string schema = schema_of(standard.function);
        if (schema.empty() || last == standard.name)
            continue;
        last = standard.name;
        NewJob job;
        job.name = standard.name;
        job.cron = standard.cron;
        job.command = standard.command;
        job.command.replace(job.command.find("%s"), 2, schema);
        job.timezone = timezone;
        write(job);
        ++count;
    }
    warn_unless_running();
    return count;
}

base::Value disable_default_schedule(const pg::Arguments &)
{
    int count = 0;
    for (const DefaultJob &standard : default_jobs) {
        const auto job = find(standard.name);
        if (!job)
            continue;
        require_own(standard.name, *job);
        house("DELETE FROM opsrunbook.job WHERE id = $1", {job->id});
        ++count;
    }
    pg::poke_scheduler_at_commit();
    return count;
}

void list_jobs(const pg::Arguments &, pg::Rows &rows)
{
    const base::Timestamp now = pg::clock_now();
    const auto text_or_null = [](const std::string &text) { return text.empty() ? Value() : Value(text); };
    for (const BookedJob &job : read_jobs()) {
        const char *const status = job.job.running_since ? "running" : job.enabled ? "idle" : "disabled";
        const double timeout = job.job.timeout_seconds;
        rows.add({job.job.id,
                  job.name,
                  text_or_null(job.cron),
                  job.command,
                  job.timezone,
                  job.enabled,
                  job.role,
                  status,
                  next_run_of(job, now),
                  job.last_started,
                  text_or_null(job.last_status),
                  text_or_null(job.last_message),
                  job.run_at,
                  text_or_null(job.after),
                  job.missed,
                  job.job.max_retries,
                  static_cast<int>(job.job.retry_seconds),
                  timeout > 0 ? Value(static_cast<int>(timeout)) : Value(),
                  static_cast<int>(job.job.jitter_seconds),
                  text_or_null(job.problem.empty() ? job.noted_problem : job.problem)});
    }
}

} // namespace opsrunbook::maintenance
