#include "maintenance/schedule/job_entry.hpp"
#include "maintenance/schedule/schedule.hpp"
#include "maintenance/schedule/task_types.hpp"

#include "pg/database.hpp"
#include "pg/scheduler.hpp"
#include "pg/timezone.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

struct DefaultJob {
    const char *name, *cron, *type;
};

// The runbooks' times, and retention before the VACUUM that follows it.  Nothing here deletes what is the
// users' but by a policy or a rule that they made: cleanup_old_user_events() is not among these.
constexpr DefaultJob default_jobs[] = {
    {"opsrunbook health observation", "* * * * *", "alerts"},
    {"opsrunbook nightly maintenance", "0 3 * * *", "maintenance"},
    {"opsrunbook maintenance queue", "0 * * * *", "maintenance queue"},
    {"opsrunbook retention", "30 2 * * *", "retention"},
    {"opsrunbook orphaned objects", "0 5 * * 0", "orphaned objects"},
    {"opsrunbook index usage", "0 4 * * *", "index usage"},
    {"opsrunbook storage sizes", "15 4 * * *", "storage sizes"},
    {"opsrunbook history cleanup", "30 4 * * *", "history cleanup"},
};

} // namespace

base::Value enable_default_schedule(const pg::Arguments &arguments)
{
    const std::string timezone = arguments.is_null(0) ? pg::session_time_zone_name() : arguments.text(0);
    int count = 0;
    for (const DefaultJob &standard : default_jobs) {
        NewJob job;
        job.name = standard.name;
        job.cron = standard.cron;
        job.command = statement_of_type(standard.type);
        if (job.command.empty())
            continue;
        job.timezone = timezone;
        job.take_over = true;
        write_job(job);
        ++count;
    }
    warn_unless_running();
    return count;
}

base::Value disable_default_schedule(const pg::Arguments &)
{
    int count = 0;
    for (const DefaultJob &standard : default_jobs) {
        const auto job = find_job(standard.name);
        if (!job)
            continue;
        require_own(standard.name, *job);
        pg::as_house_owner([&job] { pg::query("DELETE FROM opsrunbook.job WHERE id = $1", {job->id}); });
        ++count;
    }
    pg::poke_scheduler_at_commit();
    return count;
}

} // namespace opsrunbook::maintenance
