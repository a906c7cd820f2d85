// Whether VACUUM and ANALYZE keep up, by the server's own rules.
#include "health/checks/checks.hpp"
#include "health/checks/horizon.hpp"

#include <algorithm>

#include "health/checks/vacuum_progress.hpp"
#include "maintenance/autovacuum_rules.hpp"
#include "maintenance/partitioned.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using maintenance::TableNeeds;

// Autovacuum comes by once per autovacuum_naptime and has a queue: a table that became due just now is not
// late.
constexpr double naptimes_of_grace = 10;

double seconds_since(const Observations &seen, base::Timestamp then)
{
    return then.microseconds == 0 ? 1e12 : (seen.server.now - then).seconds();
}

// Late: due by the server's rules for longer than it takes autovacuum to come by.
bool late(const Observations &seen, const observed::Table &table, const TableNeeds &needs,
          const maintenance::AutovacuumSettings &settings, bool analyze)
{
    if (!needs.autovacuum_enabled)
        return true;
    const observed::TableCounters &counters = table.counters;
    const base::Timestamp last = analyze ? std::max(counters.last_analyze, counters.last_autoanalyze)
                                         : std::max(counters.last_vacuum, counters.last_autovacuum);
    const auto created = seen.file_created.find(table.relation.oid);
    if (created == seen.file_created.end())
        return false; // one of too many to look at each
    // What was counted since then cannot be older than the file, the statistics, nor autovacuum, which begins
    // anew, as the counters do, after a crash and on a promoted standby.
    double counting = std::min(seconds_since(seen, last), seconds_since(seen, created->second));
    for (const std::optional<base::Timestamp> &begun : {seen.server.started, seen.server.autovacuum_started})
        if (begun)
            counting = std::min(counting, seconds_since(seen, *begun));
    if (const observed::Database *database = seen.server.current_database();
        database && database->stats_reset)
        counting = std::min(counting, seconds_since(seen, *database->stats_reset));
    // When it became due nobody wrote down: as if the rows had come evenly.
    const double due = counting * (analyze ? needs.analyze_excess : needs.vacuum_excess);
    return due > naptimes_of_grace * settings.naptime_seconds;
}

bool vacuum_is_running(const Observations &seen, const observed::Table &table)
{
    return std::any_of(seen.server.vacuums.begin(), seen.server.vacuums.end(),
                       [&table](const observed::VacuumProgress &progress) {
                           return progress.relation == table.relation.oid;
                       });
}

bool analyze_is_running(const Observations &seen, uint32_t table)
{
    const std::vector<uint32_t> &running = seen.server.tables_being_analyzed;
    return std::find(running.begin(), running.end(), table) != running.end();
}

// The statement that vacuums a table; a TOAST table is vacuumed with its owner.
std::string vacuum_command(const observed::Relations &relations, const observed::Table &table,
                           const char *options)
{
    const auto owner = relations.toast_owner.find(table.relation.oid);
    const observed::Relation &target =
        owner == relations.toast_owner.end() ? table.relation : relations.tables[owner->second].relation;
    return format("VACUUM%s %s;", options, relations.name(target).c_str());
}

template <class Body> void each_user_table(const Observations &seen, Body body)
{
    const maintenance::AutovacuumSettings settings = maintenance::autovacuum_settings(seen.server);
    for (const observed::Table &table : seen.relations.tables) {
        if (table.relation.persistence == 't' || !seen.relations.user_owned(table.relation))
            continue;
        body(table, maintenance::needs_of(table, seen.relations, settings), settings);
    }
}

// Who keeps dead rows from being removed, if for long enough to be the reason for many; nullptr: nobody.
const observed::HorizonHolder *holder_of_many(const Observations &seen)
{
    constexpr int64_t many_transactions = 1000000;
    constexpr double half_an_hour = 1800;
    const observed::HorizonHolder *holder = seen.server.holder_of_rows();
    return holder && (holder->age >= many_transactions || holder->seconds.value_or(0) >= half_an_hour)
               ? holder
               : nullptr;
}

std::string horizon_cause(const observed::HorizonHolder *holder, const std::string &table)
{
    if (!holder)
        return "";
    return format("%s %s holds a snapshot %s transactions old -> VACUUM cannot remove the dead rows of %s",
                  holder->kind.c_str(), holder->name.c_str(), count_text(holder->age).c_str(), table.c_str());
}

// Dead rows count against a table when there are many and the server itself would clean them, but is late or
// cannot.
void dead_tuples(const Observations &seen, Judge &judge)
{
    int64_t total = 0;
    const observed::HorizonHolder *const holder = holder_of_many(seen);
    each_user_table(seen, [&](const observed::Table &table, const TableNeeds &needs, const auto &settings) {
        const int64_t dead = table.counters.dead_rows;
        total += dead;
        if (!needs.vacuum_dead)
            return;
        // Under a held horizon autovacuum comes again and again, in time and in vain.
        const bool in_vain = holder && table.counters.vacuums + table.counters.autovacuums > 0;
        if (!in_vain && (vacuum_is_running(seen, table) || !late(seen, table, needs, settings, false)))
            return;
        const std::string name = seen.relations.name(table.relation);
        if (judge.level(static_cast<double>(dead), name) == Status::ok)
            return;
        const int64_t live = table.counters.live_rows;
        const double share =
            100.0 * static_cast<double>(dead) / static_cast<double>(std::max<int64_t>(1, dead + live));
        Finding *finding =
            judge.measure(static_cast<double>(dead), name,
                          format("%s has %s dead tuples (%.0f %% of its rows; autovacuum's trigger is %s)%s",
                                 name.c_str(), count_text(dead).c_str(), share,
                                 count_text(static_cast<int64_t>(needs.vacuum_trigger)).c_str(),
                                 needs.autovacuum_enabled ? "" : " and autovacuum is off for it"));
        finding->evidence.add("dead_rows", dead)
            .add("live_rows", live)
            .add("trigger", needs.vacuum_trigger)
            .add("autovacuum_enabled", needs.autovacuum_enabled);
        finding->cause = horizon_cause(holder, name);
        finding->fix = (holder ? remedy_of(seen.server, *holder) + "\n" : "") +
                       vacuum_command(seen.relations, table, "");
    });
    judge.fine(format("%s dead tuples in all, none that autovacuum is late for", count_text(total).c_str()));
}

constexpr const char *ask_the_primary = "VACUUM and ANALYZE run on the primary, which knows what is due";

void vacuum_overdue(const Observations &seen, Judge &judge)
{
    if (seen.server.in_recovery)
        return judge.not_applicable(ask_the_primary);
    int overdue = 0;
    std::string first, fix;
    each_user_table(seen, [&](const observed::Table &table, const TableNeeds &needs, const auto &settings) {
        if (!needs.vacuum() || vacuum_is_running(seen, table) || !late(seen, table, needs, settings, false))
            return;
        ++overdue;
        if (first.empty()) {
            first = seen.relations.name(table.relation);
            fix = vacuum_command(seen.relations, table, "");
        }
    });
    if (Finding *finding = judge.measure(overdue, "",
                                         format("%s overdue for VACUUM by autovacuum's own rules, first %s",
                                                base::plural(overdue, "table").c_str(), first.c_str()))) {
        finding->evidence.add("tables", overdue).add("first", first);
        finding->cause = horizon_cause(holder_of_many(seen), first);
        if (all_workers_busy(seen.server)) {
            finding->evidence.add("autovacuum_workers_busy", seen.server.autovacuum_workers_busy)
                .add("recommendation", more_from_the_workers(seen.server));
            if (finding->cause.empty())
                finding->cause = format("all %s of autovacuum are busy -> %s waits for one",
                                        base::plural(seen.server.autovacuum_workers_busy, "worker").c_str(),
                                        first.c_str());
        }
        finding->fix = overdue == 1 ? fix : "SELECT * FROM run_automated_maintenance();";
    }
    judge.fine("no table is overdue for VACUUM");
}

void stale_statistics(const Observations &seen, Judge &judge)
{
    if (seen.server.in_recovery)
        return judge.not_applicable(ask_the_primary);
    int stale = 0, never = 0;
    std::string first;
    each_user_table(seen, [&](const observed::Table &table, const TableNeeds &needs, const auto &settings) {
        if (!(needs.analyze || needs.never_analyzed) || analyze_is_running(seen, table.relation.oid) ||
            !late(seen, table, needs, settings, true))
            return;
        ++stale;
        never += needs.never_analyzed;
        if (first.empty())
            first = seen.relations.name(table.relation);
    });
    // Autovacuum never analyzes a partitioned table: it is late when its partitions have statistics and it
    // has none, or old ones.
    const maintenance::AutovacuumSettings settings = maintenance::autovacuum_settings(seen.server);
    for (const maintenance::StalePartitioned &parent :
         maintenance::stale_partitioned(seen.relations, settings)) {
        if (parent.partitions_analyzed.microseconds == 0 ||
            seconds_since(seen, parent.partitions_analyzed) <= naptimes_of_grace * settings.naptime_seconds ||
            analyze_is_running(seen, parent.relation->oid))
            continue;
        ++stale;
        never += parent.never_analyzed;
        if (first.empty())
            first = seen.relations.name(*parent.relation);
    }
    if (Finding *finding =
            judge.measure(stale, "",
                          format("%s with stale planner statistics (%d never analyzed), first %s",
                                 base::plural(stale, "table").c_str(), never, first.c_str()))) {
        finding->evidence.add("tables", stale).add("never_analyzed", never).add("first", first);
        finding->fix =
            stale == 1 ? format("ANALYZE %s;", first.c_str()) : "SELECT update_table_statistics();";
    }
    judge.fine("planner statistics are up to date");
}

void autovacuum_off(const Observations &seen, Judge &judge)
{
    const bool counting = seen.server.setting_on("track_counts", true);
    if (!seen.server.setting_on("autovacuum", true) || !counting) {
        Finding &finding =
            judge.found(Status::critical, "",
                        counting ? "autovacuum is off" : "track_counts is off, so autovacuum does not run");
        finding.fix = counting ? "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"
                               : "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();";
        finding.undo = counting ? "ALTER SYSTEM RESET autovacuum; SELECT pg_reload_conf();"
                                : "ALTER SYSTEM RESET track_counts; SELECT pg_reload_conf();";
    }
    each_user_table(seen, [&](const observed::Table &table, const TableNeeds &, const auto &) {
        const observed::Relation &relation = table.relation;
        if (relation.options < 0 || seen.relations.options[static_cast<size_t>(relation.options)].enabled ||
            relation.kind == 't')
            return;
        const std::string name = seen.relations.name(relation);
        Finding &finding =
            judge.found(Status::warning, name, format("autovacuum is switched off for %s", name.c_str()));
        finding.fix = format("ALTER TABLE %s RESET (autovacuum_enabled);", name.c_str());
        finding.undo = format("ALTER TABLE %s SET (autovacuum_enabled = off);", name.c_str());
    });
    judge.fine("autovacuum is on");
}

constexpr Check checks[] = {
    {
        .id = "dead_tuples",
        .title = "dead tuples that VACUUM should have removed",
        .category = Category::vacuum,
        .points = 50,
        .metric = "dead_tuples",
        .unit = "rows",
        .warning = 10000,
        .critical = 50000,
        .bottleneck = true,
        .explanation =
            "Dead row versions of a table, once there are more than the thresholds and more than autovacuum "
            "itself "
            "tolerates, and autovacuum is off or had time to come. They slow down scans and grow the table.",
        .source = "pg_stat_user_tables.n_dead_tup > autovacuum_vacuum_threshold + "
                  "autovacuum_vacuum_scale_factor * reltuples "
                  "(autovacuum.c, relation_needs_vacanalyze; storage parameters respected)",
        .evaluate = dead_tuples,
    },
    {
        .id = "vacuum_overdue",
        .title = "tables overdue for VACUUM",
        .category = Category::vacuum,
        .points = 30,
        .metric = "tables_overdue_for_vacuum",
        .unit = "tables",
        .warning = 0,
        .critical = 20,
        .explanation = "Tables that autovacuum's own rules say are due (dead rows, inserted rows, "
                       "transaction-id age) and that it "
                       "does not get to.",
        .source = "autovacuum.c, relation_needs_vacanalyze",
        .evaluate = vacuum_overdue,
    },
    {
        .id = "stale_statistics",
        .title = "tables with stale planner statistics",
        .category = Category::vacuum,
        .points = 20,
        .metric = "tables_with_stale_statistics",
        .unit = "tables",
        .warning = 0,
        .critical = 20,
        .bottleneck = true,
        .explanation = "Tables that changed more than autovacuum's analyze trigger since the last ANALYZE, "
                       "or that never had one: "
                       "the planner guesses. Partitioned tables among them, which autovacuum leaves alone.",
        .source = "n_mod_since_analyze > autovacuum_analyze_threshold + autovacuum_analyze_scale_factor * "
                  "reltuples",
        .evaluate = stale_statistics,
    },
    {
        .id = "autovacuum_off",
        .title = "autovacuum switched off",
        .category = Category::vacuum,
        .points = 40,
        .explanation = "Autovacuum or track_counts is off for the server, or autovacuum for a table. Dead "
                       "rows pile up and, in the "
                       "end, transaction ids run out.",
        .source = "settings autovacuum and track_counts, storage parameter autovacuum_enabled",
        .evaluate = autovacuum_off,
    },
};

} // namespace

std::span<const Check> vacuum_checks()
{
    return checks;
}

} // namespace opsrunbook::health
