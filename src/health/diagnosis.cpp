#include "health/diagnosis.hpp"

#include <algorithm>

#include "advice/bloat/candidates.hpp"
#include "advice/index_usage/candidates.hpp"
#include "health/alerting/counter_samples.hpp"
#include "health/alerting/mutes.hpp"
#include "health/alerting/stored.hpp"
#include "advice/index_trial/standbys.hpp"
#include "advice/indexes/foreign_keys.hpp"
#include "advice/indexes/identity.hpp"
#include "maintenance/autovacuum_rules.hpp"
#include "maintenance/schedule/observed_jobs.hpp"
#include "maintenance/verification/verification.hpp"
#include "pg/catalog/definitions.hpp"
#include "pg/catalog/index_usage.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/catalog/sequences.hpp"
#include "pg/catalog/server.hpp"
#include "pg/catalog/privileges.hpp"
#include "pg/catalog/shapes.hpp"
#include "pg/catalog/standing.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

std::optional<double> number(const base::Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.real());
}

bool wanted(const std::vector<std::string> &ids, std::initializer_list<std::string_view> checks)
{
    return ids.empty() || std::any_of(checks.begin(), checks.end(), [&ids](std::string_view check) {
               return std::find(ids.begin(), ids.end(), check) != ids.end();
           });
}

bool named(const std::vector<std::string> &ids, std::string_view id)
{
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// Runs the users' checks that were asked for; the names left over are the registry's.
std::vector<std::string> add_user_checks(Diagnosis &diagnosis, const std::vector<std::string> &ids)
{
    std::vector<std::string> others = ids;
    for (UserCheck &check : read_user_checks()) {
        if (!ids.empty() && !named(ids, check.name))
            continue;
        std::erase(others, check.name);
        const UserCheckResult result = run_user_check(check);
        diagnosis.user_checks.push_back(std::make_unique<const ListedUserCheck>(std::move(check)));
        diagnosis.outcomes.push_back(outcome_of(*diagnosis.user_checks.back(), result));
    }
    return others;
}

// How many sequences are read when all is looked at; asked for by name, the check reads them all.
constexpr size_t sequences_in_a_sweep = 4000;

// Beyond this many, findings of one kind name the function that lists them all.
constexpr size_t described = 1000;

void observe_foreign_keys(Observations &seen)
{
    std::vector<uint32_t> keys;
    for (const observed::Constraint *key : advice::unindexed_foreign_keys(seen.relations)) {
        if (seen.file_bytes.size() >= 10 * described)
            break;
        const observed::Table *table = seen.relations.table(key->table);
        const int64_t bytes = pg::relation_file_bytes(table->relation);
        seen.file_bytes[key->table] = bytes;
        if (bytes >= 1 << 20 && keys.size() < described)
            keys.push_back(key->oid);
    }
    seen.constraint_columns = pg::constraint_columns(keys);
}

void observe_unused_indexes(Observations &seen)
{
    constexpr int64_t page = 8192, least = 10 << 20;
    // relpages is of the last VACUUM or ANALYZE: a table that grew since is asked for its file.
    const int64_t floor = std::min<int64_t>(least, seen.server.database_bytes.value_or(0) / 200);
    observed::OidMap parents = pg::index_parents(seen.relations);
    advice::UnusedCandidates candidates = advice::unused_candidates(
        seen.relations, parents, seen.server.now, std::max<int64_t>(floor, 1 << 20),
        [&seen](const observed::Index &index) {
            const observed::Table *table = seen.relations.table(index);
            const bool stale =
                table &&
                table->counters.inserted_since_vacuum + table->counters.modified_since_analyze > 10000;
            return stale ? pg::relation_file_bytes(index.relation) : index.relation.pages * page;
        });
    seen.file_bytes.merge(candidates.bytes);
    seen.index_usage = pg::read_index_usage(seen.relations, candidates.indexes, std::move(parents));
}

// A look at a file costs some microseconds, and the verdict on many tables is that of the first thousands.
constexpr size_t files_looked_at = 4000;

void observe_due_tables(Observations &seen)
{
    const maintenance::AutovacuumSettings settings = maintenance::autovacuum_settings(seen.server);
    for (const observed::Table &table : seen.relations.tables)
        if (seen.relations.user_owned(table.relation) &&
            maintenance::needs_of(table, seen.relations, settings).anything()) {
            if (seen.file_created.size() >= files_looked_at)
                return;
            seen.file_created.emplace(table.relation.oid,
                                      pg::relation_file_created(table.relation)
                                          .value_or(base::Timestamp{})); // unknown: always there
        }
}

void fill_in_undo(Diagnosis &diagnosis)
{
    std::vector<const observed::Index *> dropped;
    observed::OidMap wanted_oids;
    for (const Outcome &outcome : diagnosis.outcomes)
        for (const Finding &finding : outcome.findings)
            if (finding.drops_index != 0 && wanted_oids.size() < described)
                wanted_oids.emplace(finding.drops_index, 1);
    if (wanted_oids.size() == 0)
        return;
    for (const observed::Index &index : diagnosis.seen.relations.indexes)
        if (wanted_oids.contains(index.relation.oid))
            dropped.push_back(&index);
    std::unordered_map<observed::Oid, std::string> undo;
    const auto definitions = pg::index_definitions(dropped);
    for (const observed::Index *index : dropped)
        if (const auto text = definitions.find(index->relation.oid); text != definitions.end())
            undo[index->relation.oid] = advice::create_command(text->second, *index);
    for (Outcome &outcome : diagnosis.outcomes)
        for (Finding &finding : outcome.findings)
            if (const auto text = undo.find(finding.drops_index); text != undo.end())
                finding.undo = text->second;
}

} // namespace

Thresholds read_thresholds()
{
    const pg::Result rows = pg::as_house_owner([] {
        return pg::query("SELECT metric_name, object, warning, critical, enabled FROM opsrunbook.threshold");
    });
    std::vector<ThresholdRow> thresholds;
    for (size_t r = 0; r < rows.size(); ++r)
        thresholds.push_back({rows.at(r, "metric_name").text(), rows.at(r, "object").text(),
                              number(rows.at(r, "warning")), number(rows.at(r, "critical")),
                              rows.at(r, "enabled").boolean()});
    return Thresholds(std::move(thresholds));
}

Diagnosis diagnose(const std::vector<std::string> &asked)
{
    // What the mutes hide is known when everything has been looked at.
    const bool about_mutes = named(asked, "mute_hides_worse");
    const std::vector<std::string> ids = about_mutes ? std::vector<std::string>() : asked;
    Diagnosis diagnosis;
    Observations &seen = diagnosis.seen;
    seen.relations = pg::read_relations();
    seen.server = pg::read_server();
    diagnosis.counters = observed::counters_of(seen.server);
    if (const auto earlier = read_counter_sample(seen.server))
        observed::count_since(seen.server, *earlier);
    add_inactivity(seen.server);
    seen.server.declared_standbys = advice::declared_standbys(seen.server.in_recovery);
    seen.server.database_bytes = pg::database_bytes(seen.relations);
    pg::read_outdated_collations(seen.server, seen.relations);
    if (wanted(ids, {"bloat", "index_bloat"}))
        seen.bloat = advice::observe_bloat(seen.relations);
    if (wanted(ids, {"dead_tuples", "vacuum_overdue", "stale_statistics"}))
        observe_due_tables(seen);
    if (wanted(ids, {"unindexed_foreign_keys"}))
        observe_foreign_keys(seen);
    if (wanted(ids, {"unused_indexes"}))
        observe_unused_indexes(seen);
    if (wanted(ids, {"int4_primary_key", "replica_identity", "default_partition"}))
        seen.shapes = pg::read_shapes(seen.server, seen.relations);
    if (wanted(ids, {"sequence_exhaustion"}))
        pg::read_sequences(seen.server, seen.shapes, seen.relations,
                           named(ids, "sequence_exhaustion") ? SIZE_MAX : sequences_in_a_sweep);
    if (wanted(ids, {"open_schemas", "definer_search_path"}))
        seen.privileges = pg::read_privileges(seen.server);
    if (wanted(ids, {"failed_jobs", "scheduler_stopped", "amcheck_age"}))
        seen.jobs = maintenance::observe_jobs();
    if (wanted(ids, {"verification_failed", "amcheck_age"}))
        seen.verification = maintenance::observe_verification();
    std::vector<Outcome> &outcomes = diagnosis.outcomes;
    const std::vector<std::string> registered = add_user_checks(diagnosis, ids);
    if (ids.empty() || !registered.empty()) {
        std::vector<Outcome> own = evaluate(seen, read_thresholds(), registered);
        outcomes.insert(outcomes.begin(), std::make_move_iterator(own.begin()),
                        std::make_move_iterator(own.end()));
    }
    apply_mutes(outcomes, read_mutes(), seen.server.now);
    add_since(outcomes);
    if (about_mutes)
        std::erase_if(outcomes,
                      [&asked](const Outcome &outcome) { return !named(asked, outcome.check->id); });
    fill_in_undo(diagnosis);
    return diagnosis;
}

} // namespace opsrunbook::health
