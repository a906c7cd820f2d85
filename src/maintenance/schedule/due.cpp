#include "maintenance/schedule/due.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.hpp"
#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Interval;
using base::Timestamp;

constexpr Interval clock_tolerance = base::seconds(3 * 3600);
constexpr Timestamp infinity{INT64_MAX / 2}; // or as good as that, and no overflow

Interval duration(double seconds)
{
    constexpr double longest = 1e9; // thirty years: no overflow, whatever was asked for
    return seconds > 0 ? base::seconds(std::min(seconds, longest)) : Interval{};
}

// splitmix64's mixing: neighbouring jobs and instants come out far apart.
uint64_t mixed(uint64_t value)
{
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

int attempts(const Job &failed)
{
    return std::max(failed.failed_attempts, 1);
}

Interval retry_delay(const Job &job, const SchedulerLimits &limits)
{
    const int doublings = std::min(attempts(job) - 1, 30); // far beyond any limit
    return std::min(duration(std::ldexp(job.retry_seconds, doublings)),
                    duration(limits.longest_retry_seconds));
}

// The times at which one job is due, around now.
struct Occurrences {
    std::optional<Timestamp> pending;     // to run next; not later than now
    std::optional<Timestamp> passed_over; // the newest one that was given up
    std::optional<Timestamp> next;        // the first one later than now
    LaunchReason reason = LaunchReason::scheduled;
};

struct Candidate {
    Timestamp due; // with jitter, or a retry's delay
    Launch launch;
};

class Decision {
public:
    Decision(const std::vector<Job> &jobs_, Timestamp now_, const SchedulerLimits &limits_)
        : jobs(jobs_), now(now_), limits(limits_)
    {
        for (const Job &job : jobs)
            by_id.emplace(job.id, &job);
    }

    Due decide()
    {
        for (const Job &job : jobs) {
            try {
                if (job.running_since)
                    watch(job);
                else if (job.enabled)
                    consider(job);
            }
            catch (const base::Error &error) {
                due.problems.push_back({job.id, error.message});
            }
        }
        choose();
        return std::move(due);
    }

private:
    void wake(Timestamp at)
    {
        if (at > now && (!due.wake_at || at < *due.wake_at))
            due.wake_at = at;
    }

    bool believable(std::optional<Timestamp> at) const { return at && *at <= now + clock_tolerance; }

    void watch(const Job &job)
    {
        ++running;
        if (!(job.timeout_seconds > 0))
            return;
        const Timestamp ends = *job.running_since + duration(job.timeout_seconds);
        if (ends <= now)
            due.timed_out.push_back(job.id);
        wake(ends);
    }

    void consider(const Job &job)
    {
        const Occurrences times = occurrences(job);
        if (times.passed_over)
            due.passed_over.push_back({job.id, *times.passed_over});
        // A newer run ends the retries of an older one, unless each is to have its own.
        const bool superseded =
            times.passed_over || (times.pending && job.missed_runs != MissedRuns::run_all);
        if (may_retry(job) && !superseded)
            retry(job);
        else if (times.pending)
            start(job, times);
        if (times.next)
            wake(*times.next + jitter(job, *times.next));
    }

    void start(const Job &job, const Occurrences &times)
    {
        const Timestamp at = *times.pending + jitter(job, *times.pending);
        const bool late = now > at + duration(limits.grace_seconds);
        if (late && job.missed_runs == MissedRuns::skip) {
            due.passed_over.push_back({job.id, *times.pending});
            return;
        }
        const bool missed = late && times.reason == LaunchReason::scheduled;
        add(at, {job.id, *times.pending, 1, missed ? LaunchReason::missed : times.reason});
    }

    bool may_retry(const Job &job) const
    {
        return job.last_outcome == RunOutcome::failed && attempts(job) <= job.max_retries &&
               believable(job.last_scheduled_run);
    }

    void retry(const Job &job)
    {
        const Timestamp from = believable(job.last_finished) ? *job.last_finished : now;
        add(from + retry_delay(job, limits),
            {job.id, *job.last_scheduled_run, attempts(job) + 1, LaunchReason::retry});
    }

    void add(Timestamp at, const Launch &launch)
    {
        if (at <= now)
            candidates.push_back({at, launch});
        else
            wake(at);
    }

    void choose()
    {
        std::sort(candidates.begin(), candidates.end(), [](const Candidate &a, const Candidate &b) {
            return a.due != b.due ? a.due < b.due : a.launch.job < b.launch.job;
        });
        for (const Candidate &candidate : candidates) {
            if (running >= limits.max_running) {
                ++due.waiting;
                continue;
            }
            ++running;
            due.launch.push_back(candidate.launch);
            const Job &job = *by_id.at(candidate.launch.job);
            if (job.timeout_seconds > 0)
                wake(now + duration(job.timeout_seconds));
        }
    }

    // Before the next run of the schedule, so that each one has its turn.
    Interval jitter(const Job &job, Timestamp scheduled_for) const
    {
        Interval most = duration(job.jitter_seconds);
        if (most.microseconds == 0)
            return most;
        if (const auto *schedule = std::get_if<base::Schedule>(&job.trigger))
            if (const auto following = next_run(*schedule, scheduled_for, *job.zone))
                most = std::min(most, Interval{(*following - scheduled_for).microseconds - 1});
        const uint64_t hash =
            mixed(mixed(static_cast<uint64_t>(job.id)) ^ static_cast<uint64_t>(scheduled_for.microseconds));
        return {static_cast<int64_t>(hash % static_cast<uint64_t>(most.microseconds + 1))};
    }

    // What was due until then is done with.
    Timestamp dealt_with(const Job &job) const
    {
        return believable(job.last_scheduled_run) ? std::max(job.since, *job.last_scheduled_run) : job.since;
    }

    Occurrences occurrences(const Job &job) const
    {
        if (const auto *schedule = std::get_if<base::Schedule>(&job.trigger))
            return by_schedule(job, *schedule);
        if (const auto *once = std::get_if<Once>(&job.trigger))
            return by_instant(job, once->at);
        return by_other_job(job, std::get<After>(job.trigger));
    }

    Occurrences by_schedule(const Job &job, const base::Schedule &schedule) const
    {
        if (!job.zone)
            throw base::Error(base::ErrorKind::undefined, "its time zone is not known");
        const Timestamp from = dealt_with(job);
        Occurrences times;
        times.next = next_run(schedule, from, *job.zone);
        if (!times.next)
            throw base::Error(base::ErrorKind::invalid_input, "its schedule never comes due");
        if (*times.next > now)
            return times;
        times.next = next_run(schedule, now, *job.zone);
        times.pending = latest_run(schedule, from, now, *job.zone);
        for (int count = 1; times.pending && job.missed_runs == MissedRuns::run_all; ++count) {
            const auto older = latest_run(schedule, from, {times.pending->microseconds - 1}, *job.zone);
            if (!older)
                break;
            if (count >= limits.most_missed_runs) {
                times.passed_over = older;
                break;
            }
            times.pending = older;
        }
        return times;
    }

    Occurrences by_instant(const Job &job, Timestamp at) const
    {
        Occurrences times;
        times.reason = LaunchReason::once;
        const bool done = believable(job.last_scheduled_run) && *job.last_scheduled_run >= at;
        if (!done && at <= infinity)
            (at <= now ? times.pending : times.next) = at;
        return times;
    }

    Occurrences by_other_job(const Job &job, const After &after) const
    {
        const Job *other = find(after);
        if (!other)
            throw base::Error(base::ErrorKind::undefined,
                              base::format("it waits for job %lld, which does not exist",
                                           static_cast<long long>(after.job)));
        const Job *earlier = other;
        for (size_t steps = 0; earlier; ++steps) {
            if (steps > jobs.size())
                throw base::Error(base::ErrorKind::invalid_input, "it waits for a circle of jobs");
            const auto *step = std::get_if<After>(&earlier->trigger);
            earlier = step ? find(*step) : nullptr;
        }
        Occurrences times;
        times.reason = LaunchReason::after;
        if (believable(other->last_succeeded) && *other->last_succeeded > dealt_with(job))
            (*other->last_succeeded <= now ? times.pending : times.next) = *other->last_succeeded;
        return times;
    }

    const Job *find(const After &after) const
    {
        const auto found = by_id.find(after.job);
        return found == by_id.end() ? nullptr : found->second;
    }

    const std::vector<Job> &jobs;
    const Timestamp now;
    const SchedulerLimits &limits;
    std::unordered_map<int64_t, const Job *> by_id;
    std::vector<Candidate> candidates;
    int running = 0;
    Due due;
};

} // namespace

const char *launch_reason_text(LaunchReason reason)
{
    switch (reason) {
    case LaunchReason::scheduled:
        return "scheduled";
    case LaunchReason::missed:
        return "missed run";
    case LaunchReason::once:
        return "run once";
    case LaunchReason::after:
        return "after another job";
    case LaunchReason::retry:
        return "retry";
    }
    return "";
}

Due decide_due(const std::vector<Job> &jobs, base::Timestamp now, const SchedulerLimits &limits)
{
    return Decision(jobs, now, limits).decide();
}

} // namespace opsrunbook::maintenance
