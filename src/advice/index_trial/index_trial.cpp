#include "advice/index_trial/index_trial.hpp"

#include "advice/index_trial/seen.hpp"
#include "advice/index_trial/standbys.hpp"
#include "advice/index_trial/trial_drop.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
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
using base::Value;

uint32_t index_argument(const pg::Arguments &arguments)
{
    if (arguments.is_null(0))
        throw Error(ErrorKind::invalid_input, "no index was named", "", "Give the name of an index.");
    return static_cast<uint32_t>(arguments.integer(0));
}

// A session without the module would still plan with the index, and say nothing when it needs it.
void require_every_session_to_know()
{
    if (pg::settings().preloaded)
        return;
    const pg::Result set =
        pg::query("SELECT setting FROM pg_settings WHERE name = 'session_preload_libraries'"
                  " AND source NOT IN ('client', 'user', 'session', 'database user')");
    if (!set.empty() && names_module(set.at(0, size_t{0}).text()))
        return;
    throw Error(ErrorKind::not_ready, "an index cannot be hidden: not every session loads opsrunbook",
                "It stands neither in shared_preload_libraries nor in session_preload_libraries, so other "
                "sessions would go on using the index.",
                "Add opsrunbook to shared_preload_libraries and restart, or to session_preload_libraries of "
                "the database or the server.");
}

std::string unit_of(int64_t days)
{
    return base::plural(days, "day");
}

} // namespace

base::Value start_index_trial(const pg::Arguments &arguments)
{
    const uint32_t index = index_argument(arguments);
    const int64_t days = arguments.integer(1, 14);
    if (days < 1 || days > 3650)
        throw Error(ErrorKind::invalid_input, "a trial takes from 1 to 3650 days",
                    format("It would take %s.", unit_of(days).c_str()),
                    "Take at least the longest period after which a query comes back: a month's end, say.");
    require_every_session_to_know();
    const SeenIndex seen = see_fit_index(index);
    const std::string by = pg::current_user_name();
    const pg::Result started = pg::as_house_owner([&] {
        return pg::query("INSERT INTO opsrunbook.index_trial (index, schema_name, index_name, table_name, "
                         "definition, undo, until, started_by, reason) VALUES ($1::oid, $2, $3, $4, $5, $6,"
                         " clock_timestamp() + $7 * interval '1 day', $8, $9::text)"
                         " ON CONFLICT (schema_name, index_name) WHERE state = 'trial' DO NOTHING"
                         " RETURNING id",
                         {static_cast<int64_t>(index), seen.schema_name, seen.index_name, seen.facts.table,
                          seen.definition, seen.undo, days, by, arguments.value(2)});
    });
    if (started.empty())
        throw Error(ErrorKind::not_ready, format("index %s is on trial already", seen.facts.name.c_str()), "",
                    format("SELECT * FROM opsrunbook.index_trials; SELECT opsrunbook.end_index_trial(%s); "
                           "ends it.",
                           base::quote_literal(seen.facts.name).c_str()));
    pg::index_trial_changed(index);
    return started.at(0, size_t{0});
}

base::Value end_index_trial(const pg::Arguments &arguments)
{
    const uint32_t index = index_argument(arguments);
    const SeenIndex seen = see_index(index);
    if (!seen.facts.owned)
        throw Error(ErrorKind::not_allowed, format("must be owner of index %s", seen.facts.name.c_str()),
                    format("It belongs to role %s.", seen.facts.owner.c_str()),
                    "Call it as the owner or as a superuser.");
    lock_trial(index);
    if (const auto task = dropping_task(index))
        throw Error(ErrorKind::not_ready, format("index %s is being dropped", seen.facts.name.c_str()),
                    "Its trial is over.",
                    format("SELECT opsrunbook.cancel_task(%lld); while it still waits for its lock.",
                           static_cast<long long>(*task)));
    const std::string by = format("ended by %s", base::quote_identifier(pg::current_user_name()).c_str());
    const pg::Result ended = pg::as_house_owner([&] {
        return pg::query("UPDATE opsrunbook.index_trial SET state = 'restored', ended_at = clock_timestamp(),"
                         " restored_reason = $3 WHERE schema_name = $1 AND index_name = $2 AND state = "
                         "'trial' RETURNING id",
                         {seen.schema_name, seen.index_name, by});
    });
    if (ended.empty())
        throw Error(ErrorKind::not_ready, format("index %s is not on trial", seen.facts.name.c_str()), "",
                    "SELECT * FROM opsrunbook.index_trials; shows all trials and how they ended.");
    pg::index_trial_changed(index);
    return ended.at(0, size_t{0});
}

base::Value drop_trial_index(const pg::Arguments &arguments)
{
    const uint32_t index = index_argument(arguments);
    check_finished_trial(index);
    return start_drop(index);
}

void finished_index_trials(const pg::Arguments &, pg::Rows &rows)
{
    const pg::Result found = pg::as_house_owner([] {
        return pg::query(
            "SELECT t.*, pg_relation_size(t.index_now)::int8 AS bytes FROM ("
            " SELECT r.*, c.oid AS index_now, format('%I.%I', r.schema_name, r.index_name) AS name,"
            "  CASE WHEN c.oid IS NULL THEN 'the index is gone or renamed'"
            "  WHEN pg_get_indexdef(c.oid) <> r.definition THEN 'the index is not the one that was hidden'"
            "  END AS problem"
            " FROM opsrunbook.index_trial r LEFT JOIN pg_namespace n ON n.nspname = r.schema_name"
            " LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.index_name AND c.relkind = 'i'"
            " WHERE r.state = 'trial' AND r.until <= clock_timestamp()) t ORDER BY bytes DESC NULLS LAST, "
            "id");
    });
    const pg::Result standbys =
        pg::query("SELECT count(*) FROM pg_stat_replication r LEFT JOIN opsrunbook.standby s"
                  " ON s.name = r.application_name WHERE s.name IS NULL");
    const int64_t standing = standbys.at(0, size_t{0}).integer();
    for (size_t r = 0; r < found.size(); ++r) {
        const bool gone = !found.at(r, "problem").is_null();
        const std::string used =
            use_on_standbys(found.at(r, "schema_name").text(), found.at(r, "index_name").text());
        const std::string silent = standbys_silent_since(found.at(r, "until"));
        const bool kept = gone || !used.empty() || !silent.empty();
        const std::string name = base::quote_literal(found.at(r, "name").text());
        std::string note = gone ? found.at(r, "problem").text() : "no query would have profited from it";
        if (!gone && !used.empty())
            note += "; but it is used on standby " + used;
        else if (!gone && !silent.empty())
            note += "; whether a declared standby uses it is not known, for want of counts from after the "
                    "trial: " +
                    silent;
        else if (!gone && standing > 0)
            note += format("; %s not declared stream from here: see pg_stat_user_indexes.idx_scan there too",
                           base::plural(standing, "standby").c_str());
        rows.add({found.at(r, "schema_name"), found.at(r, "table_name"), found.at(r, "index_name"),
                  found.at(r, "bytes"),
                  gone ? Value() : Value(base::size_text(found.at(r, "bytes").integer())),
                  found.at(r, "started_at"), found.at(r, "until"), note,
                  kept ? Value() : Value(format("SELECT opsrunbook.drop_trial_index(%s);", name.c_str())),
                  found.at(r, "undo")});
    }
}

void restore_index(const pg::WorkerRequest &request)
{
    pg::worker_transaction([&request] {
        if (pg::query("SELECT 1 FROM pg_extension WHERE extname = 'opsrunbook'").empty())
            return;
        lock_trial(request.relation);
        if (dropping_task(request.relation))
            return;
        const Value note = std::string(request.note);
        const double saved = request.cost_before - request.cost_after;
        const pg::Result ended = pg::as_house_owner([&] {
            // The asking session shows more of its statement, unless it has gone on to the next.
            const pg::Result activity =
                pg::query("SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 1000) FROM pg_stat_activity"
                          " WHERE pid = $1 AND position(rtrim($2, '…') IN regexp_replace(query, '\\s+', ' ', "
                          "'g')) > 0",
                          {request.asking_pid, note});
            const Value text = activity.empty() ? note : activity.at(0, size_t{0});
            const Value reason = format("a query costs %s with the index and %s without: %s",
                                        base::number_text(request.cost_after).c_str(),
                                        base::number_text(request.cost_before).c_str(), text.text().c_str());
            return pg::query("UPDATE opsrunbook.index_trial r SET state = 'restored', ended_at = "
                             "clock_timestamp(), restored_reason = $2, saved_cost = $3"
                             " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                             " WHERE c.oid = $1::oid AND r.schema_name = n.nspname AND r.index_name = "
                             "c.relname AND r.state = 'trial' RETURNING r.id",
                             {static_cast<int64_t>(request.relation), reason, saved});
        });
        if (!ended.empty())
            pg::index_trial_changed(request.relation);
    });
}

} // namespace opsrunbook::advice
