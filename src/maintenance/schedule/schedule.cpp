#include "maintenance/schedule/schedule.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/schedule/job_entry.hpp"
#include "maintenance/schedule/state.hpp"
#include "maintenance/schedule/task_types.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"
#include "pg/scheduler.hpp"
#include "pg/timezone.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;

constexpr int64_t most_next_runs = 100'000;

std::string required(const pg::Arguments &arguments, int number, const char *what)
{
    if (arguments.is_null(number) || arguments.text(number).empty())
        throw Error(ErrorKind::invalid_input, format("a job's %s must be given", what), "",
                    "See opsrunbook.schedule().");
    return arguments.text(number);
}

std::string command(const pg::Arguments &arguments, int number)
{
    const std::string given = required(arguments, number, "command");
    const std::string statement = statement_of_type(given);
    return statement.empty() ? given : statement;
}

ExistingJob own_job(const pg::Arguments &arguments)
{
    const std::string name = required(arguments, 0, "name");
    const auto job = find_job(name);
    if (!job)
        throw Error(ErrorKind::undefined, format("job \"%s\" does not exist", name.c_str()), "",
                    "The jobs of this database are in opsrunbook.jobs.");
    require_own(name, *job);
    return *job;
}

} // namespace

base::Value schedule(const pg::Arguments &arguments)
{
    NewJob job;
    job.name = required(arguments, 0, "name");
    job.cron = arguments.value(1);
    job.command = command(arguments, 2);
    job.timezone = arguments.is_null(3) ? pg::session_time_zone_name() : arguments.text(3);
    job.missed = arguments.is_null(4) ? "run_once" : arguments.text(4);
    job.max_retries = arguments.integer(5);
    job.retry_seconds = arguments.integer(6, 60);
    job.timeout_seconds = arguments.value(7);
    job.jitter_seconds = arguments.integer(8);
    job.after = arguments.text(9);
    job.enabled = arguments.boolean(10, true);
    const int64_t id = write_job(job);
    warn_unless_running();
    return id;
}

base::Value run_once(const pg::Arguments &arguments)
{
    NewJob job;
    job.name = required(arguments, 0, "name");
    job.command = command(arguments, 1);
    job.run_at = arguments.value(2);
    if (job.run_at.is_null())
        job.run_at = pg::clock_now();
    job.timezone = pg::session_time_zone_name();
    const int64_t id = write_job(job);
    warn_unless_running();
    return id;
}

base::Value run_job_now(const pg::Arguments &arguments)
{
    const ExistingJob job = own_job(arguments);
    pg::house_query("UPDATE opsrunbook.job SET run_now = true WHERE id = $1", {job.id});
    pg::poke_scheduler_at_commit();
    warn_unless_running();
    return job.id;
}

base::Value unschedule(const pg::Arguments &arguments)
{
    const ExistingJob job = own_job(arguments);
    const pg::Result waiting = pg::house_query(
        "SELECT string_agg(format('\"%s\"', name), ', ' ORDER BY name) AS names FROM opsrunbook.job"
        " WHERE after_job = $1 HAVING count(*) > 0",
        {job.id});
    if (!waiting.empty())
        throw Error(ErrorKind::not_ready, "other jobs run after this one",
                    format("These wait for it: %s.", waiting.at(0, "names").text().c_str()),
                    "Unschedule them first.");
    pg::house_query("DELETE FROM opsrunbook.job WHERE id = $1", {job.id});
    pg::poke_scheduler_at_commit();
    return job.id;
}

base::Value enable_job(const pg::Arguments &arguments)
{
    const ExistingJob job = own_job(arguments);
    pg::house_query("UPDATE opsrunbook.job SET enabled = true, since = clock_timestamp() WHERE id = $1",
                    {job.id});
    if (pg::is_superuser())
        note_role(job.id);
    pg::poke_scheduler_at_commit();
    warn_unless_running();
    return job.id;
}

base::Value disable_job(const pg::Arguments &arguments)
{
    const ExistingJob job = own_job(arguments);
    pg::house_query("UPDATE opsrunbook.job SET enabled = false WHERE id = $1", {job.id});
    pg::poke_scheduler_at_commit();
    return job.id;
}

void next_runs(const pg::Arguments &arguments, pg::Rows &rows)
{
    if (arguments.is_null(0))
        throw Error(ErrorKind::invalid_input, "a schedule must be given", "", "See opsrunbook.schedule().");
    const base::Schedule schedule = base::parse_schedule(arguments.text(0));
    const std::string name = arguments.is_null(1) ? pg::session_time_zone_name() : arguments.text(1);
    const TimeZone &zone = known_time_zone(name);
    const Value from = arguments.value(2);
    const int64_t count = arguments.integer(3, 10);
    require_range("count", count, 0, most_next_runs);
    std::optional<base::Timestamp> at = from.is_null() ? pg::clock_now() : from.timestamp();
    for (int64_t number = 1; number <= count; ++number) {
        at = next_run(schedule, *at, zone);
        if (!at)
            return;
        rows.add({number, *at});
    }
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
