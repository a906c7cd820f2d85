#include "maintenance/runner.hpp"

#include <algorithm>
#include <unordered_map>

#include "base/text.hpp"
#include "maintenance/bloated_indexes.hpp"
#include "maintenance/journal.hpp"
#include "maintenance/observed_load.hpp"
#include "maintenance/retention/apply.hpp"
#include "maintenance/retry.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/catalog/server.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::format;

// REINDEX CONCURRENTLY waits for transactions as for locks.  It holds up neither readers nor writers
// meanwhile, and when it gives up it leaves an invalid index behind, so it has time.
constexpr int concurrent_wait_ms = 30 * 60 * 1000;
// How often a paused run looks whether the load has gone down.
constexpr double seconds_between_looks = 1;

// A task of the plan, with the row it has or is to get in the queue.
struct Listed {
    PlannedTask task;
    Duration duration;
    int64_t id = 0; // 0: not in the queue yet
    int windows_waited = 0;
    bool permitted = true;
};

std::vector<Listed> list_tasks(const observed::Relations &relations, const observed::Server &server,
                               const pg::WorkerRequest &request)
{
    const std::vector<PastRun> history = past_runs();
    std::vector<PendingTask> pending = pending_tasks();
    std::vector<Listed> listed;
    for (PlannedTask &task : observed_plan(relations, server, static_cast<TaskFilter>(request.only))) {
        Listed entry;
        entry.duration = predict_duration(task.work, history);
        entry.permitted = pg::can_maintain(task.relation);
        // The same statement on the same relation may wait from an earlier run, or because it was queued.
        const auto same = std::find_if(pending.begin(), pending.end(), [&task](const PendingTask &other) {
            return other.relation == task.relation && other.command == task.command;
        });
        if (same != pending.end()) {
            entry.id = same->id;
            entry.windows_waited = same->windows_waited;
            pending.erase(same);
        }
        entry.task = std::move(task);
        listed.push_back(std::move(entry));
    }
    if (static_cast<TaskFilter>(request.only) == TaskFilter::everything)
        for (const PendingTask &obsolete : pending)
            write_end(obsolete.id, 0, obsolete.relation,
                      {"skipped", "no longer needed, or replaced by another task", "", {}});
    return listed;
}

void write_plan(const pg::WorkerRequest &request)
{
    if (!house_stands())
        return;
    sweep_crashed();
    const observed::Relations relations = pg::read_relations();
    const observed::Server server = pg::read_server();
    std::vector<Listed> listed = list_tasks(relations, server, request);
    const std::string role = pg::current_user_name();
    write_run(request, static_cast<int64_t>(relations.tables.size()), "");

    std::vector<Candidate> candidates;
    for (Listed &entry : listed) {
        if (entry.id == 0)
            entry.id = write_task(entry.task, entry.duration, role);
        if (entry.permitted) {
            Candidate candidate;
            candidate.id = entry.id;
            candidate.benefit = entry.task.benefit;
            candidate.seconds = entry.duration.seconds;
            candidate.emergency = entry.task.emergency;
            candidate.carried_over = entry.windows_waited;
            candidates.push_back(candidate);
            continue;
        }
        write_decision(request.run_id, entry.id, 0, "not permitted");
        write_end(
            entry.id, 0, entry.task.relation,
            {"skipped",
             format("role %s may not maintain it: only its owner may%s", base::quote_identifier(role).c_str(),
                    server.version >= 170000 ? ", or a role with the MAINTAIN privilege" : ""),
             "42501",
             {}});
    }
    Window window;
    window.workers = request.max_parallel_tasks;
    if (request.window_seconds >= 0)
        window.seconds = request.window_seconds;
    const WindowPlan plan = plan_window(candidates, window);
    int position = 0;
    for (const Scheduled &scheduled : plan.now)
        write_decision(request.run_id, scheduled.id, ++position, scheduled.reason);
    for (const CarriedOver &carried : plan.later)
        write_decision(request.run_id, carried.id, std::nullopt, carried.reason);
}

std::string completed_message(const Measured &before, const Measured &after)
{
    std::vector<std::string> parts;
    if (before.dead_rows > after.dead_rows)
        parts.push_back(
            format("%s removed", base::plural(before.dead_rows - after.dead_rows, "dead row").c_str()));
    if (after.dead_rows > 0)
        parts.push_back(format("%s left that an open snapshot still sees",
                               base::plural(after.dead_rows, "dead row").c_str()));
    if (before.bytes > after.bytes)
        parts.push_back(format("%s given back", base::size_text(before.bytes - after.bytes).c_str()));
    return parts.empty() ? "done" : base::join(parts, ", ");
}

// Somebody who waits for the run is not kept waiting for minutes by one locked table.
RetryPolicy retry_policy(const pg::WorkerRequest &request, bool background)
{
    RetryPolicy policy;
    if (!background && !request.everything) {
        policy.attempts = 3;
        policy.first_delay_seconds = 1;
    }
    return policy;
}

TaskEnd end_of(const ClaimedTask &task, const pg::ServerError &error, const RetryPolicy &policy)
{
    TaskEnd end;
    end.sqlstate = error.sqlstate;
    if (error.sqlstate == "55P03") { // lock_not_available
        const std::string holders = lock_holders(task.relation);
        end.status = "skipped";
        end.message = format("could not lock %s within the lock timeout%s%s", task.object.c_str(),
                             holders.empty() ? "" : ": ", holders.c_str());
    }
    else if (error.sqlstate == "57014") { // query_canceled
        end.status = "skipped";
        end.message = "cancelled";
    }
    else {
        end.status = "failed";
        end.message = error.message + (error.detail.empty() ? "" : " (" + error.detail + ")");
    }
    Failure failure;
    failure.sqlstate = error.sqlstate;
    failure.attempt = task.attempt;
    failure.jitter = pg::process_id() % 100 / 100.0; // workers that collided do not collide again
    if (const RetryDecision again = decide_retry(failure, policy); again.retry) {
        end.retry_seconds = again.delay_seconds;
        end.message += "; " + again.reason;
    }
    return end;
}

// False when there is nothing left to claim, or nothing can be claimed any more.
bool do_next_task(const pg::WorkerRequest &request, const Share &share)
{
    std::optional<ClaimedTask> task;
    Measured before;
    bool locked = false;
    const auto claimed = pg::worker_transaction([&] {
        if (!house_stands())
            return;
        task = claim_task(request, share);
        if (!task)
            return;
        before = measure(task->relation);
        locked = pg::try_lock_relation_task(task->relation);
        if (!locked)
            write_end(task->id, task->attempt, task->relation,
                      {"skipped", "another maintenance worker is at this table", "", {}});
        else if (!pg::can_maintain(task->relation)) {
            locked = false;
            pg::unlock_relation_task(task->relation);
            write_end(
                task->id, task->attempt, task->relation,
                {"skipped", "the table is gone, or the role may not maintain it any more", "42501", {}});
        }
    });
    if (claimed || !task)
        return false;
    if (!locked)
        return true;
    const auto error = pg::run_statement(
        task->command,
        share.background ? std::max(request.lock_timeout_ms, concurrent_wait_ms) : request.lock_timeout_ms);
    const auto written = pg::worker_transaction([&] {
        if (!house_stands())
            return;
        write_end(task->id, task->attempt, task->relation,
                  error ? end_of(*task, *error, retry_policy(request, share.background))
                        : TaskEnd{"completed", completed_message(before, measure(task->relation)), "", {}});
        pg::unlock_relation_task(task->relation);
    });
    return !written;
}

void do_tasks(const pg::WorkerRequest &request, bool background)
{
    LoadDecision load;
    double waited = 0;
    for (;;) {
        int64_t waiting = 0;
        const bool patient = waited < pg::settings().busy_wait_seconds;
        const auto failed = pg::worker_transaction([&] {
            load = judge_load(observe_load(request.asking_pid), load_limits(), load.paused_by);
            waiting = load.go ? 0 : waiting_tasks(request.run_id, background);
            if (waiting > 0 && (waited == 0 || !patient))
                hold_back(request.run_id, load.reason, !patient);
        });
        if (failed)
            return;
        if (do_next_task(request, {background, !load.go})) {
            waited = 0;
            continue;
        }
        if (load.go) {
            std::optional<double> retry;
            if (pg::worker_transaction([&] { retry = seconds_to_retry(request.run_id, background); }) ||
                !retry)
                return;
            pg::worker_sleep(std::clamp(*retry, 0.01, seconds_between_looks));
            continue;
        }
        if (waiting == 0 || !patient)
            return;
        pg::worker_sleep(seconds_between_looks);
        waited += seconds_between_looks;
    }
}

std::optional<pg::Worker> launch(pg::WorkerRequest request, pg::Work work)
{
    request.work = work;
    return pg::Worker::launch(request);
}

void plan_and_run(const pg::WorkerRequest &request)
{
    if (pg::worker_transaction([&] { write_plan(request); }))
        return;
    std::vector<pg::Worker> helpers;
    int64_t waiting = 0, background = 0;
    pg::worker_transaction([&] {
        waiting = waiting_tasks(request.run_id, false);
        background = waiting_tasks(request.run_id, true);
    });
    const int64_t wanted = std::min<int64_t>(request.max_parallel_tasks, waiting);
    for (int64_t i = 1; i < wanted; ++i)
        if (const auto helper = launch(request, pg::Work::help_run)) // no free slot: this one does it alone
            helpers.push_back(*helper);
    do_tasks(request, false);
    for (const pg::Worker &helper : helpers)
        helper.wait();
    if (background == 0)
        return;
    // REINDEX CONCURRENTLY would wait for the caller's snapshot, and the caller waits for this worker.
    if (request.everything)
        do_tasks(request, true);
    else
        launch(request, pg::Work::finish_run); // no free slot: the next run adopts what stays pending
}

} // namespace

void work(const pg::WorkerRequest &request)
{
    switch (request.work) {
    case pg::Work::plan_and_run:
        return plan_and_run(request);
    case pg::Work::help_run:
        return do_tasks(request, false);
    case pg::Work::finish_run:
        return do_tasks(request, true);
    case pg::Work::retention:
        return apply_policies(request);
    case pg::Work::scheduler_turn: // schedule/turn.hpp
    case pg::Work::job:
    case pg::Work::restore_index: // advice/index_trial
    case pg::Work::drop_index:
        return;
    }
}

} // namespace opsrunbook::maintenance
