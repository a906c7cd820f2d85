#include "maintenance/schedule/turn.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "maintenance/schedule/job_book.hpp"
#include "pg/database.hpp"
#include "pg/notice.hpp"
#include "pg/role.hpp"
#include "pg/scheduler.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::format;
using base::Timestamp;

// A launched worker that has not claimed its run after 15 seconds is given up.
constexpr base::Interval unclaimed_check = base::seconds(16);
constexpr base::Interval slot_retry = base::seconds(2);
// A worker ends its own command at the timeout; one that does not is cancelled from outside.
constexpr base::Interval overdue = base::seconds(30);

// Each in a transaction of its own: a notification that cannot be queued must not stop the schedule.
void tell(const std::vector<int64_t> &runs)
{
    for (const int64_t run : runs)
        pg::worker_transaction([run] {
            if (!pg::lock_house())
                return;
            const auto alert = alert_of(run);
            if (!alert)
                return;
            pg::warning(alert->message, "See opsrunbook.job_runs.");
            pg::query("SELECT pg_notify('opsrunbook_alert', $1)", {alert->payload});
        });
}

struct Starting {
    int64_t run_id;
    unsigned role;
    bool run_now;
};

struct Turn {
    bool house = false;
    std::optional<Timestamp> look_at;
    std::vector<Starting> starting;
    std::vector<int64_t> failed;
    std::vector<int64_t> written; // jobs with a new run

    void look(Timestamp at)
    {
        if (!look_at || at < *look_at)
            look_at = at;
    }
};

// The role that a run is to be done as, or why it cannot.
struct RoleNow {
    unsigned oid = 0;
    std::string refusal;
};

RoleNow role_now(const BookedJob &job)
{
    const std::string name = base::quote_identifier(job.role);
    const pg::Result role =
        pg::query("SELECT r.oid, r.rolcanlogin, has_database_privilege(r.oid, current_database(), 'CONNECT') "
                  "AS connects,"
                  " (SELECT k.role_oid FROM opsrunbook.job_role k WHERE k.job_id = $2) AS known"
                  " FROM pg_roles r WHERE r.rolname = $1",
                  {job.role, job.job.id});
    if (role.empty())
        return {0, format("role %s does not exist any more", name.c_str())};
    const auto oid = static_cast<unsigned>(role.at(0, "oid").integer());
    const base::Value &known = role.at(0, "known");
    if (!known.is_null() && known.integer() != oid)
        return {0, format("role %s is not the one that scheduled the job, but another of the same name; a"
                          " superuser confirms it with opsrunbook.enable_job()",
                          name.c_str())};
    if (!role.at(0, "rolcanlogin").boolean())
        return {0, format("role %s may not log in", name.c_str())};
    if (!role.at(0, "connects").boolean())
        return {0, format("role %s may not connect to this database", name.c_str())};
    if (known.is_null())
        pg::query("INSERT INTO opsrunbook.job_role (job_id, role_oid) VALUES ($1, $2::bigint::oid)",
                  {job.job.id, static_cast<int64_t>(oid)});
    return {oid, ""};
}

void record(Turn &turn, const BookedJob &job, const Launch &launch)
{
    const int64_t run = write_launch(job, launch);
    turn.written.push_back(job.job.id);
    const RoleNow role = role_now(job);
    if (role.refusal.empty()) {
        turn.starting.push_back({run, role.oid, job.run_now});
        return;
    }
    write_run_end(run, {"failed", "28000", role.refusal});
    turn.failed.push_back(run);
    turn.look(pg::clock_now()); // it may be retried
}

void note_problems(const std::vector<BookedJob> &jobs)
{
    for (const BookedJob &job : jobs) {
        if (job.problem == job.noted_problem)
            continue;
        write_problem(job);
        if (!job.problem.empty())
            pg::warning(format("job \"%s\" cannot be scheduled: %s", job.name.c_str(), job.problem.c_str()),
                        "Schedule it again with opsrunbook.schedule().");
    }
}

void cancel_overdue(const BookedJob &job, Timestamp now, Turn &turn)
{
    const Timestamp end = *job.job.running_since + base::seconds(job.job.timeout_seconds) + overdue;
    if (now < end)
        return turn.look(end);
    pg::query("SELECT pg_cancel_backend(r.worker_pid) FROM opsrunbook.job_run r JOIN pg_stat_activity a"
              " ON a.pid = r.worker_pid AND a.backend_start = r.worker_started_at WHERE r.id = $1",
              {job.run_id});
    turn.look(now + overdue);
}

void decide(Turn &turn)
{
    const pg::SchedulerSettings settings = pg::scheduler_settings();
    turn.failed = end_crashed_runs();
    remove_done_jobs(settings.job_history_days);
    prune_runs(settings.job_history_days);
    std::vector<BookedJob> jobs = read_jobs();
    std::map<int64_t, BookedJob *> by_id;
    for (BookedJob &job : jobs)
        by_id[job.job.id] = &job;

    SchedulerLimits limits;
    limits.max_running = settings.max_running_jobs;
    const Timestamp now = pg::clock_now();
    Due due = decide_due(decidable(jobs), now, limits);
    for (const JobProblem &problem : due.problems)
        by_id[problem.job]->problem = problem.problem;
    note_problems(jobs);

    for (const PassedOver &passed : due.passed_over) {
        write_passed_over(*by_id[passed.job], passed.scheduled_for);
        turn.written.push_back(passed.job);
    }
    for (const Launch &launch : due.launch)
        record(turn, *by_id[launch.job], launch);
    for (const int64_t id : due.timed_out)
        cancel_overdue(*by_id[id], now, turn);
    for (const BookedJob &job : jobs) {
        const bool launched = std::any_of(due.launch.begin(), due.launch.end(),
                                          [&job](const Launch &launch) { return launch.job == job.job.id; });
        if (job.run_now && !launched && !job.job.running_since)
            record(turn, job, {job.job.id, now, 1, LaunchReason::once});
        if (job.worker_unknown)
            turn.look(now + unclaimed_check);
    }
    // Here, where every run is written down, also one that never gets a worker.
    for (const int64_t job : turn.written)
        prune_runs_of(job, settings.job_history_rows);
    if (due.wake_at)
        turn.look(*due.wake_at);
}

void start(const Starting &starting, Turn &turn)
{
    pg::WorkerRequest request = {};
    request.work = pg::Work::job;
    request.database = pg::current_database();
    request.session_role = request.role = starting.role;
    request.run_id = starting.run_id;
    if (pg::Worker::launch(request))
        return turn.look(pg::clock_now() + unclaimed_check);
    pg::worker_transaction([&starting] {
        if (pg::lock_house())
            forget_launch(starting.run_id, starting.run_now);
    });
    turn.look(pg::clock_now() + slot_retry);
}

RunEnd end_of(const pg::ServerError &error, double timeout_seconds, base::Interval took)
{
    if (error.sqlstate == "57014") { // query_canceled
        if (timeout_seconds > 0 && took >= base::seconds(timeout_seconds))
            return {"failed", error.sqlstate,
                    format("not finished within its timeout of %s",
                           base::duration_text(timeout_seconds).c_str())};
        return {"skipped", error.sqlstate, "cancelled"};
    }
    return {"failed", error.sqlstate,
            error.message + (error.detail.empty() ? "" : " (" + error.detail + ")")};
}

} // namespace

void scheduler_turn()
{
    if (!pg::begin_turn())
        return;
    Turn turn;
    const auto failed = pg::worker_transaction([&turn] {
        turn.house = pg::lock_house();
        if (turn.house)
            pg::as_house_owner([&turn] { decide(turn); });
    });
    if (failed) {
        pg::warning(
            format("the scheduler cannot read the jobs of this database: %s", failed->message.c_str()));
        return; // without a last word: the launcher waits before it tries again
    }
    for (const Starting &starting : turn.starting)
        start(starting, turn);
    tell(turn.failed);
    turn.look(pg::next_search());
    pg::end_turn(turn.house, turn.look_at);
}

void run_job(const pg::WorkerRequest &request)
{
    std::optional<ClaimedRun> run;
    pg::worker_transaction([&] {
        if (pg::lock_house())
            run = claim_run(request.run_id);
    });
    if (!run)
        return;
    const Timestamp begun = pg::clock_now();
    auto error = pg::worker_transaction([&] { pg::require_single_statement(run->command); });
    if (!error)
        error = pg::run_statement(run->command, 0, run->timeout_seconds);
    const RunEnd end = error ? end_of(*error, run->timeout_seconds, pg::clock_now() - begun)
                             : RunEnd{"completed", "", "done"};
    pg::record_outcome([&] {
        if (pg::lock_house())
            write_run_end(request.run_id, end);
    });
    tell({request.run_id});
}

} // namespace opsrunbook::maintenance
