#include "maintenance/schedule/due.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/text.hpp"

using namespace opsrunbook::maintenance;
using opsrunbook::base::Error;
using opsrunbook::base::ErrorKind;
using opsrunbook::base::format;
using opsrunbook::base::parse_schedule;
using opsrunbook::base::Timestamp;

namespace {

constexpr int64_t million = 1'000'000, minute_seconds = 60, hour_seconds = 3600, day_seconds = 86400;

class Utc : public TimeZone {
public:
    int utc_offset_seconds(Timestamp) const override { return 0; }
};

class BrokenZone : public TimeZone {
public:
    int utc_offset_seconds(Timestamp) const override
    {
        throw Error(ErrorKind::undefined, "its time zone is broken");
    }
};

const Utc in_utc;
const BrokenZone in_nowhere;

// Times of the tests: "02:00" or "02:00:30" is on day 9000; "-1 02:00" the day before, "+2 02:00" two days
// later.
Timestamp at(const std::string &text)
{
    int day = 0, hour = 0, minute = 0, second = 0, begin = 0;
    if (text[0] == '-' || text[0] == '+') {
        EXPECT_EQ(std::sscanf(text.c_str(), "%d %n", &day, &begin), 1) << text;
    }
    EXPECT_GE(std::sscanf(text.c_str() + begin, "%d:%d:%d", &hour, &minute, &second), 2) << text;
    return {((9000 + day) * day_seconds + hour * hour_seconds + minute * minute_seconds + second) * million};
}

std::string text_of(Timestamp time)
{
    const int64_t seconds = time.microseconds / million - 9000 * day_seconds;
    const int64_t day = (seconds + 100 * day_seconds) / day_seconds - 100, rest = seconds - day * day_seconds;
    std::string out = day == 0 ? "" : format("%+d ", static_cast<int>(day));
    out += format("%02d:%02d", static_cast<int>(rest / hour_seconds),
                  static_cast<int>(rest / minute_seconds % 60));
    return rest % 60 == 0 ? out : out + format(":%02d", static_cast<int>(rest % 60));
}

std::string text_of(const Due &due)
{
    std::string out;
    for (const JobProblem &one : due.problems)
        out += format("problem %d: %s; ", static_cast<int>(one.job), one.problem.c_str());
    for (const int64_t job : due.timed_out)
        out += format("timed out %d; ", static_cast<int>(job));
    for (const PassedOver &one : due.passed_over)
        out +=
            format("passed over %d of %s; ", static_cast<int>(one.job), text_of(one.scheduled_for).c_str());
    for (const Launch &one : due.launch)
        out += format("%s %d of %s%s; ", launch_reason_text(one.reason), static_cast<int>(one.job),
                      text_of(one.scheduled_for).c_str(),
                      one.attempt == 1 ? "" : format(", attempt %d", one.attempt).c_str());
    if (due.waiting > 0)
        out += format("%zu waiting; ", due.waiting);
    return out + (due.wake_at ? "wake " + text_of(*due.wake_at) : "sleep");
}

Job job(int64_t id, Trigger trigger)
{
    Job out;
    out.id = id;
    out.trigger = trigger;
    out.zone = &in_utc;
    out.since = at("-30 00:00");
    return out;
}

Job cron(int64_t id, const char *schedule, const char *last = nullptr)
{
    Job out = job(id, parse_schedule(schedule));
    if (last) {
        out.last_scheduled_run = at(last);
        out.last_finished = out.last_succeeded = at(last) + opsrunbook::base::seconds(30);
        out.last_outcome = RunOutcome::succeeded;
    }
    return out;
}

template <class Change> Job with(Job job_, Change change)
{
    change(job_);
    return job_;
}

Job missed(MissedRuns policy, Job job_)
{
    job_.missed_runs = policy;
    return job_;
}

Job running(const char *since, Job job_)
{
    job_.running_since = at(since);
    return job_;
}

Job failed(int attempts, const char *finished, Job job_)
{
    job_.last_outcome = RunOutcome::failed;
    job_.failed_attempts = attempts;
    job_.last_finished = at(finished);
    job_.last_succeeded.reset();
    job_.max_retries = 3;
    return job_;
}

Job succeeded(const char *finished, Job job_)
{
    job_.last_succeeded = job_.last_finished = at(finished);
    return job_;
}

Job last_run(const char *scheduled_for, Job job_)
{
    job_.last_scheduled_run = at(scheduled_for);
    return job_;
}

struct Case {
    const char *name;
    std::vector<Job> jobs;
    const char *now;
    const char *expected;
    SchedulerLimits limits = {};
};

void check(const std::vector<Case> &cases)
{
    for (const Case &one : cases)
        EXPECT_EQ(text_of(decide_due(one.jobs, at(one.now), one.limits)), one.expected) << one.name;
}

TEST(Due, Schedules)
{
    check({
        {"no jobs", {}, "02:00", "sleep"},
        {"before", {cron(1, "0 2 * * *", "-1 02:00")}, "01:59:59", "wake 02:00"},
        {"on the instant",
         {cron(1, "0 2 * * *", "-1 02:00")},
         "02:00",
         "scheduled 1 of 02:00; wake +1 02:00"},
        {"a little late", {cron(1, "0 2 * * *", "-1 02:00")}, "02:01", "scheduled 1 of 02:00; wake +1 02:00"},
        {"done", {cron(1, "0 2 * * *", "02:00")}, "02:00:30", "wake +1 02:00"},
        {"disabled",
         {with(cron(1, "0 2 * * *", "-1 02:00"), [](Job &one) { one.enabled = false; })},
         "02:00",
         "sleep"},
        {"new: nothing due until its creation counts",
         {with(cron(1, "0 2 * * *"), [](Job &one) { one.since = at("02:00:01"); })},
         "03:00",
         "wake +1 02:00"},
        {"enabled again: no backlog",
         {missed(MissedRuns::run_all,
                 with(cron(1, "0 2 * * *", "-9 02:00"), [](Job &one) { one.since = at("01:00"); }))},
         "02:30",
         "missed run 1 of 02:00; wake +1 02:00"},
        {"seconds", {cron(1, "10s", "02:00")}, "02:00:11", "scheduled 1 of 02:00:10; wake 02:00:20"},
        {"in the order in which they were due, then of their ids",
         {cron(3, "0 2 * * *", "-1 02:00"), cron(2, "0 2 * * *", "-1 02:00"),
          cron(4, "59 1 * * *", "-1 01:59")},
         "02:00",
         "scheduled 4 of 01:59; scheduled 2 of 02:00; scheduled 3 of 02:00; wake +1 01:59"},
    });
}

TEST(Due, MissedRuns)
{
    const Job daily = cron(1, "0 2 * * *", "-4 02:00");
    check({
        {"run once", {missed(MissedRuns::run_once, daily)}, "09:00", "missed run 1 of 02:00; wake +1 02:00"},
        {"skip", {missed(MissedRuns::skip, daily)}, "09:00", "passed over 1 of 02:00; wake +1 02:00"},
        {"skip, within the grace",
         {missed(MissedRuns::skip, daily)},
         "02:01",
         "scheduled 1 of 02:00; wake +1 02:00"},
        {"skip, past the grace",
         {missed(MissedRuns::skip, daily)},
         "02:01:01",
         "passed over 1 of 02:00; wake +1 02:00"},
        {"run all, oldest first",
         {missed(MissedRuns::run_all, daily)},
         "09:00",
         "missed run 1 of -3 02:00; wake +1 02:00"},
        {"run all, then the next",
         {last_run("-3 02:00", missed(MissedRuns::run_all, daily))},
         "09:00",
         "missed run 1 of -2 02:00; wake +1 02:00"},
        {"run all, within the limit",
         {missed(MissedRuns::run_all, daily)},
         "09:00",
         "passed over 1 of -2 02:00; missed run 1 of -1 02:00; wake +1 02:00",
         {4, 60, 3600, 2}},
        {"run all, a limit of four is enough",
         {missed(MissedRuns::run_all, daily)},
         "09:00",
         "missed run 1 of -3 02:00; wake +1 02:00",
         {4, 60, 3600, 4}},
        {"never ran, years of minutes",
         {with(cron(1, "* * * * *"), [](Job &one) { one.since = {0}; })},
         "09:00:01",
         "scheduled 1 of 09:00; wake 09:01"},
    });
}

TEST(Due, NoOverlap)
{
    const Job quarter = cron(1, "*/15 * * * *", "02:00");
    check({
        {"still running", {running("02:00", quarter)}, "02:20", "sleep"},
        {"ended late", {quarter}, "02:20", "missed run 1 of 02:15; wake 02:30"},
        {"ended late, skip",
         {missed(MissedRuns::skip, quarter)},
         "02:20",
         "passed over 1 of 02:15; wake 02:30"},
        {"others go on",
         {running("02:00", quarter), cron(2, "*/15 * * * *", "02:00")},
         "02:15",
         "scheduled 2 of 02:15; wake 02:30"},
    });
}

TEST(Due, Slots)
{
    std::vector<Job> five;
    for (int id = 1; id <= 5; ++id)
        five.push_back(cron(id, "0 2 * * *", "-1 02:00"));
    std::vector<Job> two_run = five;
    two_run[0] = running("01:00", two_run[0]);
    two_run[4] = running("01:00", with(two_run[4], [](Job &one) { one.enabled = false; }));
    check({
        {"as many as may run",
         five,
         "02:00",
         "scheduled 1 of 02:00; scheduled 2 of 02:00; 3 waiting; wake +1 02:00",
         {2}},
        {"running ones count", two_run, "02:00", "scheduled 2 of 02:00; 2 waiting; wake +1 02:00", {3}},
        {"none free", two_run, "02:00", "3 waiting; wake +1 02:00", {2}},
        {"none at all", five, "02:00", "5 waiting; wake +1 02:00", {0}},
        {"fewer than run", two_run, "02:00", "3 waiting; wake +1 02:00", {1}},
    });
}

TEST(Due, Retries)
{
    const Job daily = cron(1, "0 2 * * *", "02:00");
    const SchedulerLimits short_retries = {4, 60, 90};
    check({
        {"waits", {failed(1, "02:10", daily)}, "02:10:59", "wake 02:11"},
        {"first", {failed(1, "02:10", daily)}, "02:11", "retry 1 of 02:00, attempt 2; wake +1 02:00"},
        {"second waits twice as long", {failed(2, "02:10", daily)}, "02:11", "wake 02:12"},
        {"third, four times", {failed(3, "02:10", daily)}, "02:11", "wake 02:14"},
        {"third, capped", {failed(3, "02:10", daily)}, "02:11", "wake 02:11:30", short_retries},
        {"no more", {failed(4, "02:10", daily)}, "02:40", "wake +1 02:00"},
        {"cancelled",
         {with(failed(1, "02:10", daily), [](Job &one) { one.last_outcome = RunOutcome::canceled; })},
         "02:40",
         "wake +1 02:00"},
        {"no retries asked for",
         {with(failed(1, "02:10", daily), [](Job &one) { one.max_retries = 0; })},
         "02:40",
         "wake +1 02:00"},
        {"the next run stands for it",
         {failed(1, "02:10", daily)},
         "+1 02:00",
         "scheduled 1 of +1 02:00; wake +2 02:00"},
        {"even if it was passed over",
         {missed(MissedRuns::skip, failed(1, "02:10", daily))},
         "+1 02:10",
         "passed over 1 of +1 02:00; wake +2 02:00"},
        {"run all: each has its own",
         {missed(MissedRuns::run_all, failed(1, "02:10", daily))},
         "+1 02:00",
         "retry 1 of 02:00, attempt 2; wake +2 02:00"},
        {"run all: the next waits for them",
         {missed(MissedRuns::run_all, failed(1, "+1 02:00", daily))},
         "+1 02:00:10",
         "wake +1 02:01"},
        {"run all: none left",
         {missed(MissedRuns::run_all, failed(4, "02:10", daily))},
         "+1 02:00",
         "scheduled 1 of +1 02:00; wake +2 02:00"},
        {"lost in a crash, its end unknown",
         {with(failed(1, "02:10", daily),
               [](Job &one) {
                   one.last_finished.reset();
                   one.retry_seconds = 0;
               })},
         "02:40",
         "retry 1 of 02:00, attempt 2; wake +1 02:00"},
        {"a thousand attempts",
         {with(failed(1000, "02:10", daily), [](Job &one) { one.max_retries = 5000; })},
         "02:11",
         "wake 03:10"},
        {"no number",
         {with(failed(1, "02:10", daily),
               [](Job &one) { one.retry_seconds = std::numeric_limits<double>::quiet_NaN(); })},
         "02:11",
         "retry 1 of 02:00, attempt 2; wake +1 02:00"},
    });
}

TEST(Due, RunOnce)
{
    const Job once = job(1, Once{at("02:00")});
    check({
        {"before", {once}, "01:00", "wake 02:00"},
        {"due", {once}, "02:00", "run once 1 of 02:00; sleep"},
        {"late", {once}, "09:00", "run once 1 of 02:00; sleep"},
        {"late, skip", {missed(MissedRuns::skip, once)}, "09:00", "passed over 1 of 02:00; sleep"},
        {"done", {last_run("02:00", once)}, "09:00", "sleep"},
        {"at its creation",
         {with(once, [](Job &one) { one.since = at("02:00"); })},
         "02:00",
         "run once 1 of 02:00; sleep"},
        {"ran before, on another trigger", {last_run("01:00", once)}, "02:00", "run once 1 of 02:00; sleep"},
        {"needs no zone",
         {with(once, [](Job &one) { one.zone = nullptr; })},
         "02:00",
         "run once 1 of 02:00; sleep"},
        {"never",
         {with(once,
               [](Job &one) {
                   one.trigger = Once{{INT64_MAX}};
                   one.jitter_seconds = 60;
               })},
         "02:00",
         "sleep"},
        {"again", {failed(1, "02:10", last_run("02:00", once))}, "02:10", "wake 02:11"},
    });
}

TEST(Due, AfterAnotherJob)
{
    const Job first = cron(1, "0 2 * * *", "02:00"), second = job(2, After{1});
    check({
        {"succeeded",
         {second, succeeded("02:30", first)},
         "02:31",
         "after another job 2 of 02:30; wake +1 02:00"},
        {"late is not missed",
         {second, succeeded("02:30", first)},
         "09:00",
         "after another job 2 of 02:30; wake +1 02:00"},
        {"succeeded, failed later",
         {second, succeeded("02:30", with(first, [](Job &one) { one.last_outcome = RunOutcome::failed; }))},
         "02:31",
         "after another job 2 of 02:30; wake +1 02:00"},
        {"failed", {second, failed(4, "02:30", first)}, "02:31", "wake +1 02:00"},
        {"ran since", {last_run("02:30", second), succeeded("02:30", first)}, "02:31", "wake +1 02:00"},
        {"older than the job",
         {with(second, [](Job &one) { one.since = at("02:31"); }), succeeded("02:30", first)},
         "02:31",
         "wake +1 02:00"},
        {"runs itself", {running("02:30", second), succeeded("02:30", first)}, "02:31", "wake +1 02:00"},
        {"a chain goes one by one",
         {succeeded("02:30", first), second, job(3, After{2})},
         "02:31",
         "after another job 2 of 02:30; wake +1 02:00"},
        {"its retry",
         {succeeded("02:30", first), failed(1, "02:40", last_run("02:30", second))},
         "02:41",
         "retry 2 of 02:30, attempt 2; wake +1 02:00"},
        {"no such job",
         {job(2, After{7}), job(3, After{2})},
         "02:00",
         "problem 2: it waits for job 7, which does not exist; sleep"},
        {"itself", {job(2, After{2})}, "02:00", "problem 2: it waits for a circle of jobs; sleep"},
        {"a circle, and one behind it",
         {job(2, After{3}), job(3, After{2}), job(4, After{3})},
         "02:00",
         "problem 2: it waits for a circle of jobs; problem 3: it waits for a circle of jobs; "
         "problem 4: it waits for a circle of jobs; sleep"},
    });
}

TEST(Due, Timeouts)
{
    const Job slow = with(cron(1, "0 2 * * *", "02:00"), [](Job &one) { one.timeout_seconds = 600; });
    check({
        {"in time", {running("02:00", slow)}, "02:09", "wake 02:10"},
        {"too long", {running("02:00", slow)}, "02:10", "timed out 1; sleep"},
        {"disabled meanwhile",
         {running("02:00", with(slow, [](Job &one) { one.enabled = false; }))},
         "02:10",
         "timed out 1; sleep"},
        {"of what starts now", {slow}, "+1 02:00", "scheduled 1 of +1 02:00; wake +1 02:10"},
        {"endless",
         {running("02:00", with(slow, [](Job &one) { one.timeout_seconds = 1e300; }))},
         "02:10",
         "wake +11574 03:46:40"},
    });
}

TEST(Due, OneBadJobStopsNoOther)
{
    const Job good = cron(9, "0 2 * * *", "-1 02:00");
    check({
        {"unknown zone",
         {with(good,
               [](Job &one) {
                   one.id = 1;
                   one.zone = nullptr;
               }),
          good},
         "02:00",
         "problem 1: its time zone is not known; scheduled 9 of 02:00; wake +1 02:00"},
        {"broken zone",
         {with(good,
               [](Job &one) {
                   one.id = 1;
                   one.zone = &in_nowhere;
               }),
          good},
         "02:00",
         "problem 1: its time zone is broken; scheduled 9 of 02:00; wake +1 02:00"},
        {"impossible schedule",
         {job(1, opsrunbook::base::Schedule{}), good},
         "02:00",
         "problem 1: its schedule never comes due; scheduled 9 of 02:00; wake +1 02:00"},
    });
}

TEST(Due, ClocksThatWereWrong)
{
    const Job daily = cron(1, "0 2 * * *", "02:00");
    check({
        {"back by a second: not again", {daily}, "01:59:59", "wake +1 02:00"},
        {"a last run of next year does not hold it up",
         {last_run("+365 02:00", daily)},
         "02:00",
         "scheduled 1 of 02:00; wake +1 02:00"},
        {"nor does an end", {failed(1, "+365 02:00", daily)}, "02:00", "wake 02:01"},
    });
    Job from_ever = cron(1, "0 2 * * *");
    from_ever.since = {INT64_MIN};
    EXPECT_EQ(text_of(decide_due({from_ever}, at("02:00"))), "scheduled 1 of 02:00; wake +1 02:00");
    from_ever.since = {INT64_MAX};
    EXPECT_EQ(text_of(decide_due({from_ever}, at("02:00"))),
              "problem 1: its schedule never comes due; sleep");
}

TEST(Due, JitterSpreadsJobsAndRepeatsItself)
{
    std::set<int64_t> delays;
    for (int id = 1; id <= 50; ++id) {
        const Job one = with(cron(id, "0 2 * * *", "-1 02:00"), [](Job &job_) { job_.jitter_seconds = 300; });
        const auto starts = decide_due({one}, at("01:00")).wake_at;
        ASSERT_TRUE(starts);
        EXPECT_GE(*starts, at("02:00"));
        EXPECT_LE(*starts, at("02:05"));
        delays.insert(starts->microseconds);

        // The same when it is looked at later; launched then, under the schedule's own time.
        EXPECT_EQ(decide_due({one}, {starts->microseconds - 1}).wake_at, starts);
        const Due due = decide_due({one}, *starts);
        ASSERT_EQ(due.launch.size(), 1u);
        EXPECT_EQ(due.launch[0].scheduled_for, at("02:00"));
        EXPECT_EQ(due.launch[0].reason, LaunchReason::scheduled);
    }
    EXPECT_EQ(delays.size(), 50u);
    EXPECT_GT(*delays.rbegin() - *delays.begin(), 200 * million);
}

TEST(Due, JitterLeavesEachRunItsTurn)
{
    Job one = with(cron(1, "* * * * *", "02:00"), [](Job &job_) { job_.jitter_seconds = 3600; });
    Timestamp now = at("02:00:01");
    for (int minute = 1; minute <= 100; ++minute) {
        const auto starts = decide_due({one}, now).wake_at;
        ASSERT_TRUE(starts);
        const Due due = decide_due({one}, *starts);
        ASSERT_EQ(due.launch.size(), 1u) << text_of(*starts);
        EXPECT_EQ(due.launch[0].scheduled_for, at("02:00") + opsrunbook::base::seconds(60 * minute));
        one.last_scheduled_run = due.launch[0].scheduled_for;
        now = *starts;
    }
}

} // namespace
