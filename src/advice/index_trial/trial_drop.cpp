#include "advice/index_trial/trial_drop.hpp"

#include "advice/index_trial/index_trial.hpp"
#include "advice/index_trial/seen.hpp"
#include "advice/index_trial/standbys.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/journal.hpp"
#include "maintenance/runner.hpp"
#include "pg/database.hpp"
#include "pg/planner/index_trial_hooks.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;

// The run of one task that the maintenance workers' machinery then executes.
void write_plan(const pg::WorkerRequest &request, const FinishedTrial &trial)
{
    maintenance::write_run(request, 0, "an index whose trial is over");
    const pg::Result task = pg::as_house_owner([&] {
        return pg::query("INSERT INTO opsrunbook.task (kind, relation, object_name, command, undo, reason, "
                         "background, role) VALUES ('drop index', $1::oid, $2, $3, $4, $5, true, $6) "
                         "RETURNING id",
                         {static_cast<int64_t>(trial.table), trial.name,
                          "DROP INDEX CONCURRENTLY " + trial.name, trial.undo,
                          "its trial is over, and no query would have profited from it",
                          pg::current_user_name()});
    });
    maintenance::write_decision(request.run_id, task.at(0, size_t{0}).integer(), 1, "asked for");
}

} // namespace

void lock_trial(uint32_t index)
{
    pg::house_query("SELECT FROM opsrunbook.index_trial r JOIN pg_namespace n ON n.nspname = r.schema_name"
                    " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.index_name"
                    " WHERE c.oid = $1::oid AND r.state = 'trial' FOR UPDATE OF r",
                    {static_cast<int64_t>(index)});
}

std::optional<int64_t> dropping_task(uint32_t index)
{
    pg::query("SELECT pg_stat_clear_snapshot()");
    const pg::Result task = pg::as_house_owner([index] {
        return pg::query_latest("SELECT t.task_id FROM opsrunbook.tasks t"
                                " JOIN opsrunbook.run r ON r.id = t.run_id"
                                " JOIN pg_stat_activity a ON a.pid = r.worker_pid"
                                " AND a.backend_start = r.worker_started_at"
                                " JOIN pg_class c ON c.oid = $1::oid"
                                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                                " WHERE t.kind = 'drop index' AND t.status IN ('pending', 'running')"
                                " AND t.object_name = format('%I.%I', n.nspname, c.relname) LIMIT 1",
                                {static_cast<int64_t>(index)});
    });
    return task.empty() ? std::nullopt : std::optional(task.at(0, size_t{0}).integer());
}

FinishedTrial check_finished_trial(uint32_t index)
{
    const SeenIndex seen = see_fit_index(index);
    const std::string &name = seen.facts.name;
    if (const auto task = dropping_task(index))
        throw Error(
            ErrorKind::not_ready, format("index %s is being dropped already", name.c_str()), "",
            format("SELECT * FROM opsrunbook.tasks WHERE task_id = %lld;", static_cast<long long>(*task)));
    const pg::Result trial = pg::as_house_owner([&] {
        return pg::query(
            "SELECT id, state, definition, undo, until <= clock_timestamp() AS over, until::text "
            "AS until, until AS ends, restored_reason FROM opsrunbook.index_trial WHERE schema_name = $1 AND "
            "index_name = $2 ORDER BY id DESC LIMIT 1",
            {seen.schema_name, seen.index_name});
    });
    if (trial.empty() || trial.at(0, "state").text() == "dropped")
        throw Error(ErrorKind::not_ready, format("index %s has had no trial", name.c_str()), "",
                    format("SELECT opsrunbook.start_index_trial(%s);", base::quote_literal(name).c_str()));
    if (trial.at(0, "state").text() == "restored")
        throw Error(ErrorKind::not_ready, format("the trial of index %s ended early", name.c_str()),
                    format("Reason: %s.", trial.at(0, "restored_reason").text().c_str()),
                    "Keep the index, or start another trial.");
    if (!trial.at(0, "over").boolean())
        throw Error(ErrorKind::not_ready, format("the trial of index %s is not over", name.c_str()),
                    format("It lasts until %s.", trial.at(0, "until").text().c_str()),
                    "Wait until then, or DROP INDEX CONCURRENTLY it yourself.");
    if (trial.at(0, "definition").text() != seen.definition)
        throw Error(ErrorKind::not_ready, format("index %s is not the one that was hidden", name.c_str()),
                    format("It was: %s. It is: %s.", trial.at(0, "definition").text().c_str(),
                           seen.definition.c_str()),
                    "End its trial and start another one.");
    if (const std::string silent = standbys_silent_since(trial.at(0, "ends")); !silent.empty())
        throw Error(ErrorKind::not_ready,
                    format("whether a standby uses index %s is not known", name.c_str()),
                    format("No counts from after the trial are here of: %s.", silent.c_str()),
                    "Hand opsrunbook.import_index_usage() what opsrunbook.export_index_usage() returns on "
                    "the standby.");
    return {trial.at(0, "id").integer(), name, trial.at(0, "undo").text(), seen.table};
}

base::Value start_drop(uint32_t index)
{
    pg::WorkerRequest request = pg::request_from_session(pg::Work::drop_index, maintenance::next_run_id());
    request.lock_timeout_ms = pg::settings().lock_timeout_ms;
    request.max_parallel_tasks = 1;
    request.relation = index;
    if (!pg::Worker::launch(request))
        pg::throw_no_worker_slot();
    return request.run_id;
}

void drop_index(const pg::WorkerRequest &request)
{
    FinishedTrial trial = {};
    if (pg::worker_transaction([&] {
            if (!maintenance::house_stands())
                return;
            lock_trial(request.relation);
            trial = check_finished_trial(request.relation); // what was true for the caller may have changed
            write_plan(request, trial);
        }) ||
        trial.id == 0)
        return;
    pg::WorkerRequest run = request;
    run.work = pg::Work::finish_run;
    maintenance::work(run);
    pg::worker_transaction([&] {
        if (!maintenance::house_stands())
            return;
        pg::as_house_owner([&] {
            pg::query("UPDATE opsrunbook.index_trial SET state = 'dropped', ended_at = clock_timestamp()"
                      " WHERE id = $1 AND state = 'trial' AND EXISTS (SELECT FROM opsrunbook.tasks t"
                      " WHERE t.run_id = $2 AND t.status = 'completed')",
                      {trial.id, request.run_id});
        });
        pg::index_trial_changed(request.relation);
    });
}

} // namespace opsrunbook::advice
