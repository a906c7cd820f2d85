#include "maintenance/verification/verification.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

using base::format;
using base::Value;

namespace {

constexpr const char *data_corrupted = "XX001", *index_corrupted = "XX002";
constexpr int places_named = 3;

// The schema of amcheck, quoted, with its dot; empty: it is not installed.
std::string amcheck_schema()
{
    const pg::Result schema =
        pg::query("SELECT n.nspname::text AS name FROM pg_extension e JOIN pg_namespace n"
                  " ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'");
    return schema.empty() ? "" : base::quote_identifier(schema.at(0, "name").text()) + ".";
}

VerifiedPart verify_heap(const std::string &amcheck, uint32_t relation, const std::string &name)
{
    VerifiedPart part;
    part.object = name;
    pg::Result places;
    part.error = pg::try_query(places,
                               "SELECT count(*) OVER () AS places, h.blkno, h.offnum, h.msg FROM " + amcheck +
                                   "verify_heapam($1::oid::regclass, check_toast => true) h LIMIT $2",
                               {static_cast<int64_t>(relation), places_named});
    if (places.empty())
        return part;
    std::vector<std::string> named;
    for (size_t r = 0; r < places.size(); ++r)
        named.push_back(format(
            "block %lld, item %lld: %s", static_cast<long long>(places.at(r, "blkno").integer()),
            static_cast<long long>(places.at(r, "offnum").integer()), places.at(r, "msg").text().c_str()));
    const int64_t all = places.at(0, "places").integer();
    part.error = pg::ServerError{data_corrupted,
                                 format("%s damaged: %s%s", base::plural(all, "place").c_str(),
                                        base::join(named, "; ").c_str(), all > places_named ? "; …" : ""),
                                 "", ""};
    return part;
}

VerifiedPart verify_index(const std::string &amcheck, uint32_t index, const std::string &name)
{
    VerifiedPart part;
    part.object = name;
    pg::Result nothing;
    part.error = pg::try_query(nothing, "SELECT " + amcheck + "bt_index_check($1::oid::regclass, true)",
                               {static_cast<int64_t>(index)});
    return part;
}

void remember(uint32_t relation, const std::vector<VerifiedPart> &parts)
{
    std::vector<std::string> damage;
    std::string sqlstate;
    bool all_read = true;
    for (const VerifiedPart &part : parts) {
        if (!part.error)
            continue;
        if (!is_damage(*part.error)) {
            all_read = false;
            continue;
        }
        damage.push_back(part.object + ": " + part.message);
        if (sqlstate != data_corrupted)
            sqlstate = part.error->sqlstate;
    }
    if (damage.empty() && !all_read)
        return;
    pg::house_query(
        "INSERT INTO opsrunbook.verified (relation, verified_at, sqlstate, damage) VALUES ($1::oid,"
        " clock_timestamp(), $2::text, $3::text) ON CONFLICT (relation) DO UPDATE SET verified_at ="
        " excluded.verified_at, sqlstate = excluded.sqlstate, damage = excluded.damage",
        {static_cast<int64_t>(relation), damage.empty() ? Value() : Value(sqlstate),
         damage.empty() ? Value() : Value(base::join(damage, "\n"))});
}

} // namespace

bool is_damage(const pg::ServerError &error)
{
    return error.sqlstate == data_corrupted || error.sqlstate == index_corrupted;
}

std::optional<pg::ServerError> obstacle_to_verifying()
{
    const std::string amcheck = amcheck_schema();
    if (amcheck.empty())
        return pg::ServerError{"55000", "extension amcheck is not installed in this database", "",
                               "CREATE EXTENSION amcheck;"};
    const pg::Result rights =
        pg::query("SELECT has_schema_privilege(e.extnamespace, 'USAGE') AS schema,"
                  " bool_and(has_function_privilege(p.oid, 'EXECUTE')) AS functions,"
                  " count(DISTINCT p.proname) = 2 AS complete FROM pg_extension e"
                  " JOIN pg_proc p ON p.pronamespace = e.extnamespace AND (p.proname = 'verify_heapam'"
                  " OR (p.proname = 'bt_index_check' AND p.pronargs = 2))"
                  " WHERE e.extname = 'amcheck' GROUP BY e.extnamespace");
    if (rights.empty() || !rights.at(0, "complete").boolean())
        return pg::ServerError{"55000", "extension amcheck is too old to verify tables",
                               "It lacks verify_heapam(), which came with PostgreSQL 14.",
                               "ALTER EXTENSION amcheck UPDATE;"};
    if (rights.at(0, "schema").boolean() && rights.at(0, "functions").boolean())
        return std::nullopt;
    const std::string role = base::quote_identifier(pg::current_user_name());
    const std::string schema = amcheck.substr(0, amcheck.size() - 1);
    return pg::ServerError{
        "42501", "permission denied to verify tables",
        "Role " + role + " may not call verify_heapam() and bt_index_check().",
        (rights.at(0, "schema").boolean()
             ? ""
             : format("GRANT USAGE ON SCHEMA %s TO %s; ", schema.c_str(), role.c_str())) +
            format("GRANT EXECUTE ON FUNCTION %sverify_heapam, %sbt_index_check(regclass, boolean) TO %s;",
                   amcheck.c_str(), amcheck.c_str(), role.c_str())};
}

std::vector<VerifiedPart> verify_relation(uint32_t relation)
{
    const std::string amcheck = amcheck_schema();
    const pg::Result names = pg::query(
        // A table of another access method is left to that method's own tools; its indexes are not.
        "SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, x.indexrelid IS NOT NULL AS is_index"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam"
        " LEFT JOIN pg_index x ON x.indexrelid = c.oid WHERE (c.oid = $1::oid AND a.amname = 'heap')"
        " OR (x.indrelid = $1::oid AND x.indisvalid AND a.amname = 'btree') ORDER BY is_index, name",
        {static_cast<int64_t>(relation)});
    std::vector<VerifiedPart> parts;
    for (size_t r = 0; r < names.size(); ++r) {
        const bool is_index = names.at(r, "is_index").boolean();
        const auto oid = static_cast<uint32_t>(names.at(r, "oid").integer());
        const std::string &name = names.at(r, "name").text();
        VerifiedPart part = is_index ? verify_index(amcheck, oid, name) : verify_heap(amcheck, oid, name);
        part.message = part.error ? part.error->message +
                                        (part.error->detail.empty() ? "" : " (" + part.error->detail + ")")
                       : is_index ? "in order, and has every row"
                                  : "every row can be read";
        parts.push_back(std::move(part));
    }
    remember(relation, parts);
    return parts;
}

void forget_gone_tables()
{
    pg::house_query(
        "DELETE FROM opsrunbook.verified v WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = "
        "v.relation)");
}

observed::VerifiedTables verified_tables()
{
    const pg::Result rows = pg::house_query(
        "SELECT v.relation, v.damage IS NOT NULL AS damaged, extract(epoch FROM clock_timestamp()"
        " - v.verified_at)::float8 / 86400 AS days FROM opsrunbook.verified v");
    observed::VerifiedTables tables;
    for (size_t r = 0; r < rows.size(); ++r)
        tables[static_cast<uint32_t>(rows.at(r, "relation").integer())] = {rows.at(r, "days").real(),
                                                                           rows.at(r, "damaged").boolean()};
    return tables;
}

observed::Verification observe_verification()
{
    observed::Verification seen;
    const pg::Result damaged =
        pg::house_query("SELECT relation_name AS name, sqlstate = $1 AS heap, damage, "
                        "verified_at FROM opsrunbook.verifications"
                        " WHERE damage IS NOT NULL ORDER BY verified_at DESC LIMIT 100",
                        {data_corrupted});
    for (size_t r = 0; r < damaged.size(); ++r)
        seen.damaged.push_back({damaged.at(r, "name").text(), damaged.at(r, "heap").boolean(),
                                damaged.at(r, "damage").text(), *damaged.at(r, "verified_at").timestamp()});
    const pg::Result oldest = pg::house_query(
        "SELECT (SELECT count(*) FROM opsrunbook.verified) AS tables, v.relation_name AS name,"
        " extract(epoch FROM clock_timestamp() - v.verified_at)::float8 / 86400 AS days"
        " FROM opsrunbook.verifications v ORDER BY v.verified_at LIMIT 1");
    if (oldest.empty())
        return seen;
    seen.tables = oldest.at(0, "tables").integer();
    seen.oldest = oldest.at(0, "name").text();
    seen.oldest_days = oldest.at(0, "days").real();
    return seen;
}

void verify_table(const pg::Arguments &arguments, pg::Rows &rows)
{
    const auto relation = static_cast<uint32_t>(arguments.integer(0));
    const pg::Result kind =
        pg::query("SELECT c.relkind::text AS kind, c.oid::regclass::text AS name FROM pg_class c"
                  " WHERE c.oid = $1::oid",
                  {static_cast<int64_t>(relation)});
    if (kind.empty())
        throw base::Error(base::ErrorKind::undefined_table,
                          format("relation with OID %u does not exist", relation));
    if (const std::string &letter = kind.at(0, "kind").text();
        letter != "r" && letter != "m" && letter != "t")
        throw base::Error(base::ErrorKind::invalid_input,
                          format("%s has no rows of its own to verify", kind.at(0, "name").text().c_str()),
                          "Only tables, materialized views and TOAST tables have.",
                          "Of an index, name its table; of a partitioned table, its partitions.");
    if (const auto obstacle = obstacle_to_verifying())
        throw base::Error(obstacle->sqlstate == "42501" ? base::ErrorKind::not_allowed
                                                        : base::ErrorKind::not_ready,
                          obstacle->message, obstacle->detail, obstacle->hint);
    for (const VerifiedPart &part : verify_relation(relation))
        rows.add({part.object,
                  std::string(!part.error              ? "completed"
                              : is_damage(*part.error) ? "failed"
                                                       : "skipped"),
                  part.message});
}

} // namespace opsrunbook::maintenance
