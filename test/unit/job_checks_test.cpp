#include "checks_fixture.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook;
using namespace opsrunbook::test;

namespace {

Observations with_jobs(std::vector<observed::FailedJob> failed)
{
    Observations seen = healthy();
    seen.server.preloaded = true;
    seen.jobs.enabled = 5;
    seen.jobs.scheduler_running = true;
    seen.jobs.failing = static_cast<int64_t>(failed.size());
    seen.jobs.failed = std::move(failed);
    return seen;
}

TEST(FailedJobs, ByRunsInARow)
{
    EXPECT_EQ(status("failed_jobs", with_jobs({})), Status::ok);
    const std::pair<int64_t, Status> cases[] = {
        {1, Status::warning}, {2, Status::warning}, {3, Status::critical}, {100, Status::critical}};
    for (const auto &[runs, expected] : cases)
        EXPECT_EQ(status("failed_jobs", with_jobs({{"nightly", runs, {}, 7, "division by zero", ""}})),
                  expected)
            << runs;
}

TEST(FailedJobs, SayWhatToRun)
{
    const Finding finding =
        worst("failed_jobs", with_jobs({{"it's late", 3, base::Timestamp{42}, 7, "division\nby zero", ""}}));
    EXPECT_EQ(finding.object, "it's late");
    EXPECT_EQ(finding.message, "job \"it's late\" failed 3 times in a row: division by zero");
    EXPECT_EQ(finding.fix, "SELECT opsrunbook.run_job_now('it''s late');");
    EXPECT_EQ(finding.undo, "SELECT opsrunbook.disable_job('it''s late');");
    EXPECT_EQ(finding.since, base::Timestamp{42});
    EXPECT_EQ(worst("failed_jobs", with_jobs({{"once", 1, {}, 7, "no", ""}})).message,
              "job \"once\" failed: no");
}

TEST(FailedJobs, ThatCannotBeScheduled)
{
    const Finding finding =
        worst("failed_jobs", with_jobs({{"lost", 0, {}, 0, "", "time zone \"Mars\" is not known"}}));
    EXPECT_EQ(finding.status, Status::critical);
    EXPECT_EQ(finding.message, "job \"lost\" cannot be scheduled: time zone \"Mars\" is not known");
}

TEST(FailedJobs, TooManyToName)
{
    Observations seen = with_jobs({{"one", 1, {}, 7, "no", ""}});
    seen.jobs.failing = 1500;
    const Outcome outcome = run("failed_jobs", seen);
    ASSERT_EQ(outcome.findings.size(), 2u);
    EXPECT_TRUE(outcome.findings[1].message.starts_with("1,500 jobs are failing") ||
                outcome.findings[0].message.starts_with("1,500 jobs are failing"));
}

TEST(SchedulerStopped, OnlyWhereJobsWait)
{
    Observations seen = with_jobs({});
    EXPECT_EQ(status("scheduler_stopped", seen), Status::ok);
    seen.jobs.scheduler_running = false;
    EXPECT_EQ(status("scheduler_stopped", seen), Status::warning); // it comes back by itself
    seen.jobs.enabled = 0;
    EXPECT_EQ(status("scheduler_stopped", seen), Status::ok);
    seen.jobs.enabled = 1;
    seen.server.in_recovery = true;
    EXPECT_EQ(status("scheduler_stopped", seen), Status::ok);
    seen.server.in_recovery = false;
    EXPECT_EQ(status("scheduler_stopped", seen), Status::warning);
    seen.jobs.scheduler_running = true;
    EXPECT_EQ(status("scheduler_stopped", seen), Status::ok);
}

TEST(SchedulerStopped, SaysWhatToSet)
{
    Observations seen = with_jobs({});
    seen.jobs.scheduler_running = false;
    set(seen, "opsrunbook.scheduler", "off");
    EXPECT_EQ(worst("scheduler_stopped", seen).status, Status::critical);
    EXPECT_EQ(worst("scheduler_stopped", seen).fix,
              "ALTER SYSTEM SET opsrunbook.scheduler = on; -- then restart the server");
    seen.server.preloaded = false;
    set(seen, "shared_preload_libraries", "pg_stat_statements,\"$libdir/a b\"");
    EXPECT_EQ(worst("scheduler_stopped", seen).fix,
              "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements', '$libdir/a b', "
              "'opsrunbook'; -- then restart the server");
    set(seen, "shared_preload_libraries", "");
    EXPECT_EQ(worst("scheduler_stopped", seen).fix,
              "ALTER SYSTEM SET shared_preload_libraries = 'opsrunbook'; -- then restart the server");
}

} // namespace
