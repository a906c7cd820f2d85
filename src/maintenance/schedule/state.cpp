#include "maintenance/schedule/state.hpp"

#include "pg/scheduler.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

std::optional<base::Timestamp> next_run_of(const BookedJob &booked, base::Timestamp now)
{
    if (booked.run_now)
        return now;
    Job job = booked.job;
    if (!job.enabled || !booked.problem.empty() || std::holds_alternative<After>(job.trigger))
        return std::nullopt;
    if (job.running_since) { // as if it ended well now
        if (!std::holds_alternative<base::Schedule>(job.trigger))
            return std::nullopt;
        job.running_since.reset();
        job.last_outcome = RunOutcome::succeeded;
        job.last_scheduled_run = now;
    }
    const Due due = decide_due({job}, now);
    return due.launch.empty() ? due.wake_at : now;
}

SchedulerState scheduler_state()
{
    SchedulerState state;
    state.running = pg::scheduler_running();
    const base::Timestamp now = pg::clock_now();
    for (const BookedJob &job : read_jobs()) {
        const auto next = next_run_of(job, now);
        if (next && (!state.next_run || *next < *state.next_run)) {
            state.next_run = next;
            state.next_job = job.name;
        }
    }
    return state;
}

} // namespace opsrunbook::maintenance
