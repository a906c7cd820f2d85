#include "maintenance/schedule/job_entry.hpp"
#include "maintenance/schedule/schedule.hpp"

#include "base/text.hpp"
#include "pg/database.hpp"
#include "pg/scheduler.hpp"
#include "pg/timezone.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

struct DefaultJob {
    const char *name, *cron, *function, *command; // %s: the quoted schema
};

// The runbooks' times, and retention before the VACUUM that follows it.  Of two with the same name the first
// that is installed counts.  Nothing here deletes what is the users' but by a policy or a rule that they
// made: cleanup_old_user_events() is not among these.
constexpr DefaultJob default_jobs[] = {
    {"opsrunbook health observation", "* * * * *", "observe_alerts", "SELECT %s.observe_alerts()"},
    {"opsrunbook nightly maintenance", "0 3 * * *", "run_maintenance", "CALL %s.run_maintenance()"},
    {"opsrunbook nightly maintenance", "0 3 * * *", "run_automated_maintenance",
     "SELECT * FROM %s.run_automated_maintenance()"},
    {"opsrunbook maintenance queue", "0 * * * *", "auto_schedule_maintenance",
     "SELECT %s.auto_schedule_maintenance()"},
    {"opsrunbook retention", "30 2 * * *", "run_retention", "CALL %s.run_retention()"},
    {"opsrunbook orphaned objects", "0 5 * * 0", "cleanup_orphaned_images",
     "SELECT count(*) FROM %s.cleanup_orphaned_images()"},
    {"opsrunbook index usage", "0 4 * * *", "update_index_usage", "SELECT %s.update_index_usage()"},
    {"opsrunbook storage sizes", "15 4 * * *", "record_storage_sizes", "SELECT %s.record_storage_sizes()"},
    {"opsrunbook history cleanup", "30 4 * * *", "cleanup_maintenance_history",
     "SELECT %s.cleanup_maintenance_history(30)"},
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
