#include "maintenance/retention/orphan_statements.hpp"

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::quote_identifier;
using base::quote_literal;

std::string last_part_of(const std::string &text)
{
    return "regexp_replace(" + text + ", '^.*/', '')";
}

// A reference as it is, without query and fragment, and both decoded: what might refer is taken to refer.
std::string spellings(const OrphanReference &reference)
{
    const std::string column = "r." + quote_identifier(reference.column) + "::text";
    if (reference.match == ReferenceMatch::exact)
        return "SELECT DISTINCT " + column + " AS spelling FROM " + reference.relation + " r WHERE r." +
               quote_identifier(reference.column) + " IS NOT NULL";
    const std::string bare = "regexp_replace(" + column + ", '[?#].*$', '')";
    return "SELECT DISTINCT s.spelling, " + last_part_of("s.spelling") + " AS last FROM " +
           reference.relation + " r CROSS JOIN LATERAL (VALUES (" + column + "), (" + bare +
           "), (opsrunbook.decode_url(" + column + ")), (opsrunbook.decode_url(" + bare +
           "))) AS s(spelling) WHERE r." + quote_identifier(reference.column) + " IS NOT NULL";
}

std::string refers(const OrphanReference &reference, const std::string &with)
{
    const std::string from = "NOT EXISTS (SELECT FROM " + with + " s WHERE ";
    switch (reference.match) {
    case ReferenceMatch::exact:
        return from + "s.spelling = o.name)";
    case ReferenceMatch::suffix:
        // the equality lets the server hash; the rest looks at the whole path
        return from + "s.last = " + last_part_of("o.name") +
               " AND (s.spelling = o.name OR right(s.spelling, length(o.name) + 1) = '/' || o.name))";
    case ReferenceMatch::contains:
        return from + "strpos(s.spelling, o.name) > 0)";
    }
    return "false";
}

} // namespace

std::string orphans_sql(const ObjectTable &table, bool remove)
{
    std::string sql = "WITH ";
    std::string tests;
    for (size_t i = 0; i < table.references.size(); ++i) {
        const std::string with = "reference_" + std::to_string(i + 1);
        sql += with + " AS MATERIALIZED (" + spellings(table.references[i]) + "), ";
        tests += " AND " + refers(table.references[i], with);
    }
    std::string ages;
    for (const ObjectTable::Age &age : table.ages)
        ages += " AND x." + quote_identifier(age.column) + " < now() - " + quote_literal(age.min_age) +
                "::interval";
    const auto column = [](const std::string &name, const std::string &type) {
        return name.empty() ? "NULL::" + type : "x." + quote_identifier(name) + "::" + type;
    };
    const std::string name = "x." + quote_identifier(table.name_column) + "::text";
    sql += "object AS (SELECT x.tableoid AS part, x.ctid AS at, " + name + " AS name, " +
           column(table.bucket_column, "text") + " AS bucket, " + column(table.size_column, "bigint") +
           " AS size FROM " + table.relation + " x WHERE " + name + " <> ''" + ages +
           "), orphan AS MATERIALIZED (SELECT o.* FROM object o WHERE true" + tests + ")";
    if (!remove)
        return sql +
               " SELECT name AS image_name, bucket, size AS size_bytes FROM orphan ORDER BY bucket, name";
    return sql + ", free AS MATERIALIZED (SELECT x.tableoid AS part, x.ctid AS at FROM " + table.relation +
           " x WHERE (x.tableoid, x.ctid) IN (SELECT part, at FROM orphan) FOR UPDATE SKIP LOCKED), gone AS "
           "(DELETE FROM " +
           table.relation + " x USING free f WHERE x.tableoid = f.part AND x.ctid = f.at RETURNING " + name +
           " AS name, " + column(table.bucket_column, "text") + " AS bucket, " +
           column(table.size_column, "bigint") +
           " AS size) SELECT name AS image_name, bucket, size AS size_bytes FROM gone ORDER BY bucket, name";
}

std::string any_reference_sql(const OrphanReference &reference)
{
    return "SELECT EXISTS (SELECT FROM " + reference.relation + " r WHERE r." +
           quote_identifier(reference.column) + "::text <> '')";
}

} // namespace opsrunbook::maintenance
