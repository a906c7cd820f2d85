#include "maintenance/retention/policies.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;

// What is known of a table and its time column: FROM something that names them p.relation_schema,
// p.relation_name and p.time_column.
const std::string table_columns =
    " coalesce(c.oid, 0)::bigint AS relation, coalesce(c.relowner, 0)::bigint AS owner,"
    " pg_get_userbyid(c.relowner)::text AS owner_name,"
    " coalesce(pg_has_role($1::oid, c.relowner, 'USAGE'), false) AS permitted,"
    " (SELECT b.typname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    "  JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END"
    "  WHERE a.attrelid = c.oid AND a.attname = p.time_column AND a.attnum > 0 AND NOT a.attisdropped"
    "  AND b.typname IN ('date', 'timestamp', 'timestamptz') AND b.typnamespace = "
    "'pg_catalog'::regnamespace) AS time_type";
const std::string table_joins =
    " LEFT JOIN pg_namespace n ON n.nspname = p.relation_schema"
    " LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.relation_name AND c.relkind IN ('r', "
    "'p')"
    " AND c.relpersistence <> 't'"; // no worker sees another session's temporary rows
// Of the policy p with the identity k, on the table c.
const std::string against =
    " opsrunbook.reason_against(c.oid, k.relation_oid, CASE WHEN p.archive_name IS NOT NULL"
    " THEN to_regclass(format('%I.%I', p.archive_schema, p.archive_name)) END, k.archive_oid, p.role,"
    " k.role_oid)";

void read_table(StoredPolicy &policy, const pg::Result &result, size_t row)
{
    policy.schema = result.at(row, "relation_schema").text();
    policy.name = result.at(row, "relation_name").text();
    policy.time_column = result.at(row, "time_column").text();
    policy.relation = static_cast<uint32_t>(result.at(row, "relation").integer());
    policy.owner = static_cast<uint32_t>(result.at(row, "owner").integer());
    policy.owner_name = result.at(row, "owner_name").text();
    policy.permitted = result.at(row, "permitted").boolean();
    policy.time_type = result.at(row, "time_type").text();
}

} // namespace

std::vector<StoredPolicy> stored_policies(std::optional<uint32_t> relation)
{
    const int64_t caller = pg::current_user();
    const pg::Result result = pg::as_house_owner([&] {
        return pg::query(
            "SELECT p.relation_schema, p.relation_name, p.time_column, p.keep::text AS keep, p.condition,"
            " p.archive_schema, p.archive_name, p.batch_size, p.enabled," +
                table_columns + "," + against +
                " AS against, coalesce((SELECT pg_has_role($1::oid, r.oid, 'USAGE') FROM pg_roles r"
                "  WHERE r.rolname = p.role), (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = $1::oid))"
                " AS may_drop FROM opsrunbook.retention_policy p" +
                table_joins +
                " LEFT JOIN opsrunbook.retention_policy_identity k"
                " ON k.relation_schema = p.relation_schema AND k.relation_name = p.relation_name"
                " WHERE $2::bigint IS NULL OR c.oid = $2::bigint::oid"
                " ORDER BY p.relation_schema, p.relation_name",
            {caller, relation ? base::Value(*relation) : base::Value()});
    });
    std::vector<StoredPolicy> policies;
    for (size_t row = 0; row < result.size(); ++row) {
        StoredPolicy policy;
        read_table(policy, result, row);
        policy.reason_against = result.at(row, "against").text();
        if (policy.relation == 0) // nobody has its owner's rights: as drop_retention() sees it
            policy.permitted = result.at(row, "may_drop").boolean();
        policy.keep = result.at(row, "keep").text();
        policy.condition = result.at(row, "condition").text();
        policy.archive_schema = result.at(row, "archive_schema").text();
        policy.archive_name = result.at(row, "archive_name").text();
        policy.batch_size = result.at(row, "batch_size").integer();
        policy.enabled = result.at(row, "enabled").boolean();
        policies.push_back(std::move(policy));
    }
    return policies;
}

void note_identity(const StoredPolicy &stored)
{
    pg::house_query(
        "INSERT INTO opsrunbook.retention_policy_identity (relation_schema, relation_name, relation_oid,"
        " archive_oid, role_oid) SELECT p.relation_schema, p.relation_name, $3::bigint::oid, CASE WHEN"
        " p.archive_name IS NOT NULL THEN to_regclass(format('%I.%I', p.archive_schema, p.archive_name)) END,"
        " r.oid FROM opsrunbook.retention_policy p JOIN pg_roles r ON r.rolname = p.role"
        " WHERE p.relation_schema = $1 AND p.relation_name = $2 ON CONFLICT DO NOTHING",
        {stored.schema, stored.name, stored.relation});
}

std::vector<ExpiredRows> expired_rows()
{
    // A histogram's bounds part the rows that are not among the most common values into equal shares.
    const pg::Result rows = pg::as_house_owner([] {
        return pg::query(
            "WITH p AS MATERIALIZED (SELECT c.oid, c.relkind, p.*," + against +
            " AS against FROM opsrunbook.retention_policy p"
            " JOIN pg_namespace n ON n.nspname = p.relation_schema"
            " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.relation_name AND c.relkind IN "
            "('r', 'p')"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = p.time_column"
            " LEFT JOIN opsrunbook.retention_policy_identity k"
            " ON k.relation_schema = p.relation_schema AND k.relation_name = p.relation_name"
            " WHERE p.enabled AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, "
            "'timestamptz'::regtype))"
            "SELECT p.oid::bigint AS relation, format('%I.%I', p.relation_schema, p.relation_name) AS name,"
            " p.keep::text AS keep, (coalesce(m.expired, 0) + (1 - coalesce(m.share, 0)) * "
            "coalesce(h.expired, 0))"
            " * (1 - s.null_frac) AS share, p.against"
            " FROM p JOIN pg_stats s ON s.schemaname = p.relation_schema AND s.tablename = p.relation_name"
            " AND s.attname = p.time_column AND s.inherited = (p.relkind = 'p'),"
            " LATERAL (SELECT sum(f.share) FILTER (WHERE v.at < now() - p.keep) AS expired, sum(f.share) AS "
            "share"
            " FROM unnest(s.most_common_vals::text::timestamptz[]) WITH ORDINALITY v(at, place)"
            " JOIN unnest(s.most_common_freqs) WITH ORDINALITY f(share, place) USING (place)) m,"
            " LATERAL (SELECT least(1, greatest(0, count(*) FILTER (WHERE b < now() - p.keep) - 0.5)"
            " / nullif(count(*) - 1, 0)) AS expired FROM unnest(s.histogram_bounds::text::timestamptz[]) b) h"
            " ORDER BY 2");
    });
    std::vector<ExpiredRows> expired;
    for (size_t row = 0; row < rows.size(); ++row)
        expired.push_back({static_cast<uint32_t>(rows.at(row, "relation").integer()),
                           rows.at(row, "name").text(), rows.at(row, "keep").text(),
                           rows.at(row, "share").real(), rows.at(row, "against").text()});
    return expired;
}

StoredPolicy policy_for_days(uint32_t relation, int64_t days)
{
    const std::string keep = std::to_string(days) + " days";
    std::vector<StoredPolicy> stored = stored_policies(relation);
    if (!stored.empty()) {
        stored.front().keep = keep;
        stored.front().enabled = true;
        return stored.front();
    }
    const pg::Result result = pg::query(
        "SELECT p.*," + table_columns +
            ", EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'processed'"
            " AND a.atttypid = 'bool'::regtype AND NOT a.attisdropped) AS has_processed"
            " FROM (SELECT m.nspname AS relation_schema, x.relname AS relation_name, 'created_at' AS "
            "time_column"
            " FROM pg_class x JOIN pg_namespace m ON m.oid = x.relnamespace WHERE x.oid = $2::bigint::oid) "
            "p" +
            table_joins,
        {int64_t{pg::current_user()}, relation});
    StoredPolicy policy;
    if (result.empty())
        return policy;
    read_table(policy, result, 0);
    policy.keep = keep;
    if (result.at(0, "has_processed").boolean())
        policy.condition = "processed";
    return policy;
}

RetentionPolicy resolve(const StoredPolicy &stored)
{
    RetentionPolicy policy;
    policy.relation = stored.relation;
    policy.schema = stored.schema;
    policy.name = stored.name;
    policy.time_column = stored.time_column;
    policy.time_type = stored.time_type;
    policy.condition = stored.condition;
    policy.batch_size = stored.batch_size;
    const std::string table = base::qualified_name(stored.schema, stored.name);
    if (stored.time_type.empty())
        throw Error(ErrorKind::not_ready,
                    format("column %s of table %s does not exist or is not a date, timestamp or timestamptz",
                           base::quote_identifier(stored.time_column).c_str(), table.c_str()),
                    "", "Set the policy again with opsrunbook.set_retention().");
    policy.cutoff = pg::query("SELECT CASE $2 WHEN 'date' THEN (localtimestamp - $1::interval)::date::text"
                              " WHEN 'timestamp' THEN (localtimestamp - $1::interval)::text"
                              " ELSE (now() - $1::interval)::text END",
                              {stored.keep, stored.time_type})
                        .at(0, size_t{0})
                        .text();
    if (stored.archive_name.empty())
        return policy;
    policy.archive = base::qualified_name(stored.archive_schema, stored.archive_name);
    const pg::Result archive = pg::query("SELECT to_regclass($1)::oid::bigint", {policy.archive});
    if (archive.at(0, size_t{0}).is_null())
        throw Error(ErrorKind::not_ready, format("archive table %s does not exist", policy.archive.c_str()),
                    "", "Create it, or set the policy again with opsrunbook.set_retention().");
    policy.stored_columns =
        pg::query("SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a"
                  " WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT"
                  " a.attisdropped AND a.attgenerated = ''",
                  {stored.relation})
            .at(0, size_t{0})
            .texts();
    // The archive computes its generated columns itself.
    policy.archived_columns =
        pg::query("SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a"
                  " WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS"
                  " (SELECT FROM pg_attribute g WHERE g.attrelid = $2::bigint::oid AND g.attname = a.attname"
                  " AND g.attgenerated <> '')",
                  {stored.relation, archive.at(0, size_t{0})})
            .at(0, size_t{0})
            .texts();
    return policy;
}

std::vector<RetentionTable> tables_of(const RetentionPolicy &policy)
{
    const pg::Result result = pg::query(
        "WITH RECURSIVE tree AS (SELECT $1::bigint::oid AS oid, 0::oid AS parent, 0 AS level UNION ALL"
        "  SELECT i.inhrelid, i.inhparent, t.level + 1 FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid"
        "  WHERE NOT i.inhdetachpending)"
        " SELECT c.oid::bigint AS relation, n.nspname::text AS schema, c.relname::text AS name, "
        "c.relkind::text AS kind,"
        "  t.parent::bigint AS parent_relation, quote_ident(pn.nspname) || '.' || quote_ident(pc.relname) AS "
        "parent,"
        "  c.reltuples::float8 AS rows,"
        "  CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS bound,"
        "  coalesce(p.partstrat = 'r' AND p.partnatts = 1 AND p.partattrs[0] = pa.attnum, false) AS "
        "split_by_time,"
        "  EXISTS (SELECT FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid JOIN pg_am m ON m.oid = "
        "ic.relam"
        "   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]"
        "   WHERE x.indrelid = c.oid AND x.indisvalid AND x.indpred IS NULL AND m.amname = 'btree'"
        "   AND a.attname = $2) AS time_index,"
        "  CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) END AS bytes"
        " FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace"
        "  LEFT JOIN pg_class pc ON pc.oid = t.parent LEFT JOIN pg_namespace pn ON pn.oid = pc.relnamespace"
        "  LEFT JOIN pg_partitioned_table p ON p.partrelid = t.parent"
        "  LEFT JOIN pg_attribute pa ON pa.attrelid = t.parent AND pa.attname = $2 AND NOT pa.attisdropped"
        " ORDER BY t.level, 2, 3",
        {policy.relation, policy.time_column});
    std::vector<RetentionTable> tables;
    for (size_t row = 0; row < result.size(); ++row) {
        RetentionTable table;
        table.relation = static_cast<uint32_t>(result.at(row, "relation").integer());
        table.schema = result.at(row, "schema").text();
        table.name = result.at(row, "name").text();
        table.parent_relation = static_cast<uint32_t>(result.at(row, "parent_relation").integer());
        table.parent = result.at(row, "parent").text();
        table.partitioned = result.at(row, "kind").text() == "p";
        table.foreign = result.at(row, "kind").text() == "f";
        table.split_by_time = result.at(row, "split_by_time").boolean();
        table.bound = result.at(row, "bound").text();
        table.time_index = result.at(row, "time_index").boolean();
        table.bytes = result.at(row, "bytes").integer();
        table.rows = result.at(row, "rows").real(-1);
        const RangeBound range = range_bound(table.bound);
        if (table.split_by_time && (range.from || range.to)) {
            // The server compares: it knows time zones, infinity and BC.
            const std::string cutoff = base::quote_literal(policy.cutoff) + "::" + policy.time_type;
            const pg::Result compared =
                pg::query(base::format("SELECT $1::text::%s >= %s AS young, $2::text::%s <= %s AS old",
                                       policy.time_type.c_str(), cutoff.c_str(), policy.time_type.c_str(),
                                       cutoff.c_str()),
                          {range.from, range.to});
            table.young_entirely = compared.at(0, "young").boolean();
            table.old_entirely = compared.at(0, "old").boolean();
        }
        tables.push_back(std::move(table));
    }
    return tables;
}

} // namespace opsrunbook::maintenance
