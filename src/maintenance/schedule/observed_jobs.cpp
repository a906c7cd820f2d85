#include "maintenance/schedule/observed_jobs.hpp"

#include "pg/database.hpp"
#include "pg/scheduler.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

constexpr int most_named = 100;

} // namespace

// What was passed over or cancelled says nothing about a job.
observed::Jobs observe_jobs()
{
    const pg::Result rows = pg::as_house_owner([] {
        return pg::query(
            "WITH failing AS (SELECT j.name, coalesce(j.problem, '') AS problem, n.id AS run_id, n.message,"
            " f.failed_runs, f.since FROM opsrunbook.job j LEFT JOIN LATERAL (SELECT r.id, r.status, "
            "r.message,"
            " r.attempt, r.scheduled_for FROM opsrunbook.job_run r WHERE r.job_id = j.id AND r.status IN"
            " ('completed', 'failed') ORDER BY r.id DESC LIMIT 1) n ON true LEFT JOIN LATERAL ("
            " SELECT count(DISTINCT r.scheduled_for) FILTER (WHERE r.scheduled_for <> n.scheduled_for"
            " OR n.attempt > j.max_retries) AS failed_runs, min(r.finished_at) AS since"
            " FROM opsrunbook.job_run r WHERE n.status = 'failed' AND r.job_id = j.id AND r.status = 'failed'"
            " AND r.id > coalesce((SELECT c.id FROM opsrunbook.job_run c WHERE c.job_id = j.id AND c.status ="
            " 'completed' ORDER BY c.id DESC LIMIT 1), 0)) f ON true"
            " WHERE j.enabled AND (j.problem IS NOT NULL OR f.failed_runs > 0))"
            " SELECT (SELECT count(*) FROM opsrunbook.job WHERE enabled) AS enabled,"
            " (SELECT count(*) FROM failing) AS failing, f.* FROM (VALUES (1)) one LEFT JOIN (SELECT *"
            " FROM failing ORDER BY failed_runs DESC, name LIMIT $1) f ON true"
            " ORDER BY f.failed_runs DESC, f.name",
            {most_named});
    });
    observed::Jobs jobs;
    jobs.scheduler_running = pg::scheduler_running();
    jobs.enabled = rows.at(0, "enabled").integer();
    jobs.failing = rows.at(0, "failing").integer();
    for (size_t r = 0; r < rows.size() && jobs.failing > 0; ++r)
        jobs.failed.push_back({rows.at(r, "name").text(), rows.at(r, "failed_runs").integer(),
                               rows.at(r, "since").timestamp(), rows.at(r, "run_id").integer(),
                               rows.at(r, "message").text(), rows.at(r, "problem").text()});
    const pg::Result verifying = pg::as_house_owner([] {
        return pg::query(
            "SELECT j.name, c.finished_at IS NOT NULL AS completed,"
            " extract(epoch FROM clock_timestamp() - coalesce(c.finished_at, j.since))::float8 / 86400 AS "
            "days"
            " FROM opsrunbook.job j LEFT JOIN LATERAL (SELECT r.finished_at FROM opsrunbook.job_run r WHERE"
            " r.job_id = j.id AND r.status = 'completed' ORDER BY r.id DESC LIMIT 1) c ON true"
            " WHERE j.enabled AND j.command ~* "
            "'\\m(bt_index_check|bt_index_parent_check|verify_heapam|verify_table)\\M'"
            " ORDER BY days DESC LIMIT $1",
            {most_named});
    });
    for (size_t r = 0; r < verifying.size(); ++r)
        jobs.verifying.push_back({verifying.at(r, "name").text(), verifying.at(r, "days").real(),
                                  verifying.at(r, "completed").boolean()});
    return jobs;
}

} // namespace opsrunbook::maintenance
