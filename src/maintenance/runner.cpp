#include "maintenance/runner.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "maintenance/journal.hpp"
#include "maintenance/observed_load.hpp"
#include "maintenance/retention/apply.hpp"
#include "maintenance/retry.hpp"
#include "maintenance/run_plan.hpp"
#include "maintenance/verification/verification.hpp"
#include "pg/database.hpp"
#include "pg/orphaned_table.hpp"
#include "pg/pause.hpp"
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
constexpr double sibling_retry_seconds = 0.1;

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

// Damage outweighs what could not be read, which is tried again.
std::optional<pg::ServerError> verify(const ClaimedTask &task, int lock_timeout_ms, std::string &done)
{
    std::vector<VerifiedPart> parts;
    auto failed = pg::worker_transaction([&] {
        pg::query("SELECT set_config('lock_timeout', $1, true)", {std::to_string(lock_timeout_ms)});
        parts = verify_relation(task.relation);
    });
    if (failed)
        return failed;
    std::optional<pg::ServerError> unread, damage;
    for (const VerifiedPart &part : parts) {
        if (!part.error)
            continue;
        if (!is_damage(*part.error))
            unread = unread ? unread : part.error;
        else if (!damage)
            damage = pg::ServerError{part.error->sqlstate, part.object + ": " + part.message, "", ""};
        else
            damage->message += "; " + part.object + ": " + part.message;
    }
    done = format("%s verified: the table and its btree indexes",
                  base::plural(static_cast<int64_t>(parts.size()), "relation").c_str());
    return damage ? damage : unread;
}

std::optional<pg::ServerError> execute(const ClaimedTask &task, const pg::WorkerRequest &request,
                                       const Share &share, std::string &done, std::string &refused)
{
    if (task.kind == task_kind_text(TaskKind::drop_orphan))
        return pg::worker_transaction([&] { refused = pg::drop_orphaned_table(task.relation); });
    if (task.kind == task_kind_text(TaskKind::retention_delete)) {
        const RetentionOutcome outcome = apply_policy(task.relation, request);
        if (outcome.kind == RetentionOutcome::Kind::failed)
            return pg::ServerError{outcome.sqlstate, outcome.words, "", ""};
        (outcome.kind == RetentionOutcome::Kind::completed ? done : refused) = outcome.words;
        return std::nullopt;
    }
    if (task.kind == task_kind_text(TaskKind::verify))
        return verify(task, request.lock_timeout_ms, done);
    const int lock_timeout =
        share.background ? std::max(request.lock_timeout_ms, concurrent_wait_ms) : request.lock_timeout_ms;
    return pg::run_statement(task.command, lock_timeout);
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
        // Two workers of this run may claim two tasks of the table in the same moment, and see of each other
        // when they have committed: so it is tried once more in any case.
        if (!locked) {
            const bool again = task->attempt == 1 || run_is_at_table(request.run_id, task->id);
            write_end(task->id, task->attempt, task->relation,
                      {"skipped", "another maintenance worker is at this table", "",
                       again ? std::optional(sibling_retry_seconds) : std::nullopt});
        }
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
    std::string done, refused;
    const auto error = execute(*task, request, share, done, refused);
    const auto written = pg::record_outcome([&] {
        if (!house_stands())
            return;
        pg::lock_task_end(task->id);
        write_end(task->id, task->attempt, task->relation,
                  error              ? end_of(*task, *error, retry_policy(request, share.background))
                  : !refused.empty() ? TaskEnd{"skipped", refused, "", {}}
                  : !done.empty()
                      ? TaskEnd{"completed", done, "", {}}
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
        // Who cancels a run ends the worker that planned it; what that one did not wait for stays undone.
        bool goes_on = true;
        const auto failed = pg::worker_transaction([&] {
            goes_on = request.work != pg::Work::help_run || planner_lives(request.run_id);
            load = judge_load(observe_load(request.asking_pid), load_limits(), load.paused_by);
            waiting = load.go ? 0 : waiting_tasks(request.run_id, background);
            if (waiting > 0 && (waited == 0 || !patient))
                hold_back(request.run_id, load.reason, !patient);
        });
        if (failed || !goes_on)
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
            pg::pause(std::clamp(*retry, 0.01, seconds_between_looks));
            continue;
        }
        if (waiting == 0 || !patient)
            return;
        pg::pause(seconds_between_looks);
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
        apply_policies(request);
        return;
    case pg::Work::scheduler_turn: // schedule/turn.hpp
    case pg::Work::job:
    case pg::Work::restore_index: // advice/index_trial
    case pg::Work::drop_index:
        return;
    }
}

} // namespace opsrunbook::maintenance
