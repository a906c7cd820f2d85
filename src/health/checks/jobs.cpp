// The schedule: a job that fails night after night is as good as none, and so is one that nobody starts.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

std::string call(const char *function, const std::string &job)
{
    return format("SELECT opsrunbook.%s(%s);", function, base::quote_literal(job).c_str());
}

// As ALTER SYSTEM takes a list of libraries, whose names may be paths ($libdir/...): each one a literal.
std::string library_literals(std::string_view list)
{
    constexpr std::string_view around = " \t\"";
    std::string literals;
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        std::string_view name = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        name.remove_prefix(std::min(name.find_first_not_of(around), name.size()));
        name = name.substr(0, name.find_last_not_of(around) + 1);
        if (!name.empty())
            literals += base::quote_literal(std::string(name)) + ", ";
    }
    return literals;
}

void failed_jobs(const Observations &seen, Judge &judge)
{
    for (const observed::FailedJob &job : seen.jobs.failed) {
        if (!job.problem.empty()) {
            Finding &finding = judge.found(
                Status::critical, job.name,
                format("job \"%s\" cannot be scheduled: %s", job.name.c_str(), job.problem.c_str()));
            finding.fix = "-- schedule it again with opsrunbook.schedule(), or give it up: " +
                          call("unschedule", job.name);
            continue;
        }
        const std::string times = job.failed_runs == 1 ? "failed"
                                                       : format("failed %s times in a row",
                                                                base::count_text(job.failed_runs).c_str());
        const std::string message = format("job \"%s\" %s: %s", job.name.c_str(), times.c_str(),
                                           base::one_line(job.message, 500).c_str());
        Finding *const finding = judge.measure(static_cast<double>(job.failed_runs), job.name, message);
        if (!finding)
            continue;
        finding->since = job.since;
        finding->evidence.add("run_id", job.run_id).add("failed_runs", job.failed_runs);
        finding->cause = "what the job was to do has not been done since then";
        finding->fix = call("run_job_now", job.name);
        finding->undo = call("disable_job", job.name);
    }
    if (seen.jobs.failing > static_cast<int64_t>(seen.jobs.failed.size()))
        judge
            .found(Status::warning, "",
                   format("%s are failing in all; opsrunbook.jobs shows each one's last message",
                          base::plural(seen.jobs.failing, "job").c_str()))
            .fix = "SELECT name, last_run, last_message FROM opsrunbook.jobs WHERE last_status = 'failed';";
    judge.fine(format("%s, none of which failed in its last run",
                      base::plural(seen.jobs.enabled, "enabled job").c_str()));
}

void scheduler_stopped(const Observations &seen, Judge &judge)
{
    if (seen.server.in_recovery)
        return judge.fine("a standby's schedule starts when it is promoted");
    if (seen.jobs.enabled == 0)
        return judge.fine("no job is scheduled in this database");
    if (seen.jobs.scheduler_running)
        return judge.fine("the scheduler is at work");
    const std::string wait = base::plural(seen.jobs.enabled, "enabled job") +
                             (seen.jobs.enabled == 1 ? " waits" : " wait") + " in this database, and ";
    if (!seen.server.preloaded) {
        const auto set = seen.server.settings.find("shared_preload_libraries");
        const std::string others =
            set == seen.server.settings.end() ? "" : library_literals(set->second.value);
        judge
            .found(Status::critical, "",
                   wait + "opsrunbook is not in shared_preload_libraries: nothing starts them")
            .fix =
            format("ALTER SYSTEM SET shared_preload_libraries = %s'opsrunbook'; -- then restart the server",
                   others.c_str());
        return;
    }
    if (!seen.server.setting_on("opsrunbook.scheduler", true)) {
        judge.found(Status::critical, "", wait + "opsrunbook.scheduler is off: nothing starts them").fix =
            "ALTER SYSTEM SET opsrunbook.scheduler = on; -- then restart the server";
        return;
    }
    judge
        .found(Status::warning, "",
               wait +
                   "the scheduler's process is not there: the server starts it again within seconds, unless "
                   "it fails each time")
        .fix = "-- see the server log for errors of \"opsrunbook scheduler\"";
}

constexpr Check checks[] = {
    {
        .id = "failed_jobs",
        .title = "scheduled jobs that fail",
        .category = Category::configuration,
        .points = 30,
        .metric = "failed_job_runs",
        .unit = "runs in a row",
        .warning = 0,
        .critical = 2,
        .explanation =
            "A scheduled job's newest run failed, with all its retries: what it was to do was not done. "
            "Runs are counted up to the newest one that succeeded; what was cancelled does not count.",
        .source = "opsrunbook.job_run of the enabled jobs",
        .evaluate = failed_jobs,
    },
    {
        .id = "scheduler_stopped",
        .title = "jobs that nothing starts",
        .category = Category::configuration,
        .points = 50,
        .explanation =
            "Jobs are scheduled, but the scheduler does not run: the module is not preloaded, the scheduler "
            "is switched off, or its process cannot start.",
        .source = "the launcher's entry in shared memory, shared_preload_libraries, opsrunbook.scheduler",
        .evaluate = scheduler_stopped,
    },
};

} // namespace

std::span<const Check> job_checks()
{
    return checks;
}

} // namespace opsrunbook::health
