#include "pg/catalog/index_usage.hpp"
#include "pg/boundary.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/database.hpp"

#include <algorithm>

#include "advice/indexes/identity.hpp"

namespace opsrunbook::pg {

namespace {

using namespace observed;

// A database that nobody reset has no stats_reset, and a crash drops its counters with it; the counters of
// the server that no database owns get a new date then.
std::optional<base::Timestamp> counted_since()
{
    return query("SELECT greatest((SELECT stats_reset FROM pg_stat_database WHERE datname = "
                 "current_database()),"
                 " least((SELECT stats_reset FROM pg_stat_bgwriter), (SELECT stats_reset FROM pg_stat_wal),"
                 " (SELECT stats_reset FROM pg_stat_archiver)))")
        .at(0, size_t{0})
        .timestamp();
}

std::vector<std::string> following_standbys()
{
    const Result rows = query("SELECT DISTINCT r.application_name FROM pg_stat_replication r"
                              " LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid"
                              " WHERE r.state = 'streaming' AND s.slot_type IS DISTINCT FROM 'logical'"
                              " AND r.application_name NOT IN ('pg_receivewal', 'pg_basebackup')"
                              " ORDER BY 1");
    std::vector<std::string> names;
    for (size_t r = 0; r < rows.size(); ++r)
        names.push_back(rows.at(r, size_t{0}).text());
    return names;
}

void read_declared_standbys(IndexUsage &usage)
{
    const Result rows = as_house_owner([] {
        return query("SELECT name, counted_at > clock_timestamp() - interval '2 days' IS NOT TRUE AS silent"
                     " FROM opsrunbook.standby ORDER BY name");
    });
    for (size_t r = 0; r < rows.size(); ++r) {
        std::erase(usage.standbys, rows.at(r, "name").text());
        if (rows.at(r, "silent").boolean())
            usage.silent_standbys.push_back(rows.at(r, "name").text());
    }
}

// How the history knows an index: OIDs do not survive a restore.
struct Keys {
    base::Value::Texts schemas, names;
    base::Value::Integers shapes, scans;
    std::vector<Oid> oids;
};

Keys keys_of(const Relations &relations, const std::vector<const observed::Index *> &indexes)
{
    Keys keys;
    for (const observed::Index *index : indexes) {
        const Schema *schema = relations.schema(index->relation.schema);
        if (schema == nullptr || index->relation.kind == 'I')
            continue;
        keys.schemas.push_back(schema->name);
        keys.names.emplace_back(index->relation.name);
        keys.shapes.push_back(static_cast<int64_t>(advice::shape_of(relations, *index)));
        keys.scans.push_back(index->scans);
        keys.oids.push_back(index->relation.oid);
    }
    return keys;
}

} // namespace

OidMap index_parents(const Relations &relations)
{
    OidMap parents;
    if (std::none_of(relations.indexes.begin(), relations.indexes.end(),
                     [](const observed::Index &index) { return index.relation.is_partition; }))
        return parents;
    const Result rows = query("SELECT i.inhrelid, i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = "
                              "i.inhparent WHERE c.relkind = 'I'");
    for (size_t r = 0; r < rows.size(); ++r)
        parents.emplace(static_cast<Oid>(rows.at(r, size_t{0}).integer()),
                        static_cast<uint32_t>(rows.at(r, 1).integer()));
    return parents;
}

IndexUsage read_index_usage(const Relations &relations, const std::vector<const observed::Index *> &indexes,
                            OidMap parents)
{
    IndexUsage usage;
    usage.parents = std::move(parents);
    const Result now = query("SELECT clock_timestamp() AS now, pg_is_in_recovery() AS recovery");
    usage.now = *now.at(0, "now").timestamp();
    usage.in_recovery = now.at(0, "recovery").boolean();
    usage.counted_since = counted_since();
    if (indexes.empty())
        return usage;
    usage.standbys = following_standbys();
    read_declared_standbys(usage);
    usage.past.reserve(indexes.size());
    for (const observed::Index *index : indexes) {
        IndexPast &past = usage.past[index->relation.oid];
        if (index->scans == 0 && index->relation.kind != 'I')
            past.file_created = relation_file_created(index->relation);
    }
    const Keys keys = keys_of(relations, indexes);
    const Result rows = as_house_owner([&keys] {
        return query("SELECT a.place, h.counted_from, h.observed_from, h.observed_until, h.scans"
                     " FROM unnest($1, $2, $3) WITH ORDINALITY a(schemaname, indexname, shape, place)"
                     " JOIN opsrunbook.index_usage_history h ON h.schemaname = a.schemaname"
                     " AND h.indexname = a.indexname AND h.shape = a.shape"
                     " ORDER BY a.place, h.counted_from DESC",
                     {keys.schemas, keys.names, keys.shapes});
    });
    for (size_t r = 0; r < rows.size(); ++r)
        usage.past[keys.oids[static_cast<size_t>(rows.at(r, "place").integer()) - 1]].records.push_back(
            {*rows.at(r, "counted_from").timestamp(), *rows.at(r, "observed_from").timestamp(),
             *rows.at(r, "observed_until").timestamp(), rows.at(r, "scans").integer()});
    const Result standbys = as_house_owner([&keys] {
        return query("SELECT a.place, string_agg(format('%s (last on %s)', u.standby, date_trunc('second', "
                     "u.used_at)),"
                     " ', ' ORDER BY u.standby) AS use FROM unnest($1, $2) WITH ORDINALITY a(schemaname, "
                     "indexname, place)"
                     " JOIN opsrunbook.standby_index_usage u ON u.schemaname = a.schemaname"
                     " AND u.indexname = a.indexname AND u.used_at > clock_timestamp() - interval '35 days'"
                     " GROUP BY a.place",
                     {keys.schemas, keys.names});
    });
    for (size_t r = 0; r < standbys.size(); ++r)
        usage.past[keys.oids[static_cast<size_t>(standbys.at(r, "place").integer()) - 1]].standby_use =
            standbys.at(r, "use").text();
    return usage;
}

int64_t record_index_usage(const Relations &relations, const std::vector<const observed::Index *> &indexes)
{
    const Keys keys = keys_of(relations, indexes);
    const std::optional<base::Timestamp> since = counted_since();
    return as_house_owner([&]() -> int64_t {
        const Result recorded = query(
            "INSERT INTO opsrunbook.index_usage_history AS h"
            " (schemaname, indexname, counted_from, shape, scans, observed_from, observed_until)"
            " SELECT a.schemaname, a.indexname, coalesce($5, pg_postmaster_start_time()), a.shape, a.scans,"
            " clock_timestamp(), clock_timestamp()"
            " FROM unnest($1, $2, $3, $4) a(schemaname, indexname, shape, scans)"
            " ON CONFLICT (schemaname, indexname, counted_from) DO UPDATE SET shape = EXCLUDED.shape,"
            " scans = EXCLUDED.scans, observed_until = EXCLUDED.observed_until, observed_from ="
            " CASE WHEN (h.shape, h.scans) = (EXCLUDED.shape, EXCLUDED.scans) THEN h.observed_from"
            " ELSE EXCLUDED.observed_from END",
            {keys.schemas, keys.names, keys.shapes, keys.scans, since});
        query("DELETE FROM opsrunbook.index_usage_history"
              " WHERE observed_until < clock_timestamp() - interval '400 days'");
        return static_cast<int64_t>(recorded.processed);
    });
}

} // namespace opsrunbook::pg
