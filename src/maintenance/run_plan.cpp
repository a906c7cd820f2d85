#include "maintenance/run_plan.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "maintenance/journal.hpp"
#include "maintenance/observed_plan.hpp"
#include "maintenance/verification/verification.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/catalog/server.hpp"
#include "pg/role.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::format;

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
    // The queue of others is not the caller's to take from, nor to judge.
    std::vector<PendingTask> pending = pending_tasks();
    if (!pg::is_superuser())
        std::erase_if(pending, [](const PendingTask &task) { return !pg::has_privileges_of(task.role); });
    std::vector<Listed> listed;
    for (PlannedTask &task : observed_plan(relations, server, static_cast<TaskFilter>(request.only),
                                           request.verify_interval_days)) {
        Listed entry;
        entry.duration = predict_duration(task.work, history);
        entry.permitted = pg::can_maintain(task.relation);
        // The same statement on the same relation may wait from an earlier run, or because it was queued.
        const auto same = std::find_if(pending.begin(), pending.end(), [&task](const PendingTask &other) {
            return other.relation == task.relation && other.command == task.command;
        });
        if (same != pending.end()) {
            if (entry.permitted) { // otherwise it waits for somebody who may
                entry.id = same->id;
                entry.windows_waited = same->windows_waited;
            }
            pending.erase(same);
        }
        entry.task = std::move(task);
        listed.push_back(std::move(entry));
    }
    if (static_cast<TaskFilter>(request.only) == TaskFilter::everything)
        for (const PendingTask &obsolete : pending)
            if (request.everything || obsolete.kind != task_kind_text(TaskKind::verify))
                end_waiting(obsolete.id, obsolete.relation,
                            {"skipped", "no longer needed, or replaced by another task", "", {}});
    return listed;
}

} // namespace

void write_plan(const pg::WorkerRequest &request)
{
    if (!house_stands())
        return;
    sweep_crashed();
    forget_gone_tables();
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
        end_waiting(
            entry.id, entry.task.relation,
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

} // namespace opsrunbook::maintenance
