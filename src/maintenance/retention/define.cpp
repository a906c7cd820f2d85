// Setting and dropping retention policies: what is wrong with one is said now, not at night.
#include "maintenance/retention/retention.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/retention/policies.hpp"
#include "pg/as_role.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"
#include "pg/server_error.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;

[[noreturn]] void refuse(const std::string &message, const std::string &detail = {},
                         const std::string &hint = {})
{
    throw Error(ErrorKind::invalid_input, message, detail, hint);
}

// The table that a policy is to be on, by oid.
StoredPolicy table_for(uint32_t relation, const std::string &time_column)
{
    const pg::Result result = pg::query(
        "SELECT n.nspname::text AS schema, c.relname::text AS name, c.relowner::bigint AS owner,"
        " pg_get_userbyid(c.relowner)::text AS owner_name, pg_has_role(c.relowner, 'USAGE') AS permitted,"
        " c.relkind IN ('r', 'p') AS is_table, c.relpersistence = 't' AS temporary,"
        " n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') AS of_the_server,"
        " (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = c.oid AND "
        "a.attname = $2"
        "  AND NOT a.attisdropped) AS declared_type,"
        " (SELECT b.typname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        "  JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END"
        "  WHERE a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped"
        "  AND b.oid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)) AS time_type"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::bigint::oid",
        {relation, time_column});
    if (result.empty())
        throw Error(ErrorKind::undefined_table, format("relation with OID %u does not exist", relation));
    StoredPolicy policy;
    policy.relation = relation;
    policy.schema = result.at(0, "schema").text();
    policy.name = result.at(0, "name").text();
    policy.owner = static_cast<uint32_t>(result.at(0, "owner").integer());
    policy.owner_name = result.at(0, "owner_name").text();
    policy.time_column = time_column;
    policy.time_type = result.at(0, "time_type").text();
    const std::string table = base::qualified_name(policy.schema, policy.name);
    if (!result.at(0, "is_table").boolean() || result.at(0, "of_the_server").boolean())
        refuse(table + " is not a table that retention can be set on", "",
               "Retention works on ordinary and partitioned tables of yours.");
    if (result.at(0, "temporary").boolean())
        refuse(table + " is a temporary table", "It ends with its session, and no worker can see its rows.");
    if (!result.at(0, "permitted").boolean())
        throw Error(ErrorKind::not_allowed, "permission denied for table " + table,
                    format("Only a role with the rights of its owner, %s, may decide which rows go.",
                           base::quote_identifier(policy.owner_name).c_str()));
    if (time_column.empty())
        return policy;
    if (result.at(0, "declared_type").is_null())
        refuse(format("column %s of table %s does not exist", base::quote_identifier(time_column).c_str(),
                      table.c_str()));
    if (policy.time_type.empty())
        refuse(format("column %s of table %s is no time", base::quote_identifier(time_column).c_str(),
                      table.c_str()),
               format("Its type is %s.", result.at(0, "declared_type").text().c_str()),
               "The time column must be a date, timestamp or timestamptz.");
    return policy;
}

// The server plans the statement, with the rights that it will have.
void check_by_planning(const StoredPolicy &policy, const std::string &sql, const std::string &what)
{
    const auto error = pg::try_query_as(policy.owner, "EXPLAIN " + sql);
    if (error)
        refuse(what, error->message + (error->detail.empty() ? "" : " (" + error->detail + ")"),
               error->hint.empty()
                   ? "Functions and tables of other schemas than pg_catalog need their schema's name."
                   : error->hint);
}

// Twice: in parentheses nothing can follow it, and without them it must be whole, so no ") OR (" escapes the
// time.
void check_condition(const StoredPolicy &policy)
{
    const std::string from = " FROM ONLY " + base::qualified_name(policy.schema, policy.name) + " AS " +
                             base::quote_identifier(policy.name);
    const std::string what = "the condition is not a valid boolean expression on the table";
    check_by_planning(policy, "SELECT" + from + " WHERE (" + policy.condition + "\n)", what);
    check_by_planning(policy, "SELECT " + policy.condition + "\n" + from, what);
}

void check_archive(StoredPolicy &policy, uint32_t archive)
{
    const pg::Result found = pg::query(
        "WITH RECURSIVE below AS (SELECT $1::bigint::oid AS oid UNION SELECT i.inhrelid FROM pg_inherits i "
        "JOIN below b"
        " ON i.inhparent = b.oid)"
        " SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind IN ('r', 'p') AND "
        "c.relpersistence <> 't'"
        " AS is_table, EXISTS (SELECT FROM below b WHERE b.oid = c.oid) AS same,"
        " (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a"
        "  WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS"
        "  (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = a.attname AND NOT "
        "o.attisdropped)) AS missing"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2::bigint::oid",
        {policy.relation, archive});
    if (found.empty())
        throw Error(ErrorKind::undefined_table, format("relation with OID %u does not exist", archive));
    const std::string name = base::qualified_name(found.at(0, "schema").text(), found.at(0, "name").text());
    if (!found.at(0, "is_table").boolean())
        refuse("archive " + name + " is not an ordinary or partitioned table");
    if (found.at(0, "same").boolean())
        refuse("a table cannot be its own archive", name + " holds the rows that are to be archived.");
    if (!found.at(0, "missing").is_null())
        refuse("archive table " + name + " lacks columns of the table",
               "Missing: " + found.at(0, "missing").text() + ".",
               format("CREATE TABLE ... (LIKE %s); makes a table that fits.",
                      base::qualified_name(policy.schema, policy.name).c_str()));
    policy.archive_schema = found.at(0, "schema").text();
    policy.archive_name = found.at(0, "name").text();
    const RetentionPolicy resolved = resolve(policy);
    std::vector<std::string> columns;
    for (const std::string &column : resolved.archived_columns)
        columns.push_back(base::quote_identifier(column));
    const std::string list = base::join(columns, ", ");
    check_by_planning(policy,
                      "INSERT INTO " + resolved.archive + " (" + list + ") OVERRIDING SYSTEM VALUE SELECT " +
                          list + " FROM ONLY " + base::qualified_name(policy.schema, policy.name),
                      format("role %s, who owns the table, cannot write its rows into %s",
                             base::quote_identifier(policy.owner_name).c_str(), name.c_str()));
}

Value forget(const std::string &schema, const std::string &name)
{
    return pg::as_house_owner([&] {
        return Value(
            pg::query(
                "DELETE FROM opsrunbook.retention_policy WHERE relation_schema = $1 AND relation_name = $2",
                {schema, name})
                .processed > 0);
    });
}

} // namespace

Value set_retention(const pg::Arguments &arguments)
{
    for (const auto &[number, name] :
         {std::pair(0, "relation"), std::pair(1, "time_column"), std::pair(2, "keep"),
          std::pair(5, "batch_size"), std::pair(6, "enabled")})
        if (arguments.is_null(number))
            refuse(format("%s must not be null", name));
    StoredPolicy policy = table_for(static_cast<uint32_t>(arguments.integer(0)), arguments.text(1));
    policy.keep = arguments.printed(2);
    policy.condition = arguments.text(3);
    policy.batch_size = arguments.integer(5);
    policy.enabled = arguments.boolean(6);
    if (!pg::query("SELECT $1::interval > '0'", {policy.keep}).at(0, size_t{0}).boolean())
        refuse("keep must be longer than nothing", "It is " + policy.keep + ".",
               "Rows older than keep are deleted.");
    if (policy.batch_size < 1 || policy.batch_size > 1000000)
        refuse("batch_size must be between 1 and 1,000,000",
               "It is " + base::count_text(policy.batch_size) + ".");
    if (!policy.condition.empty())
        check_condition(policy);
    if (!arguments.is_null(4))
        check_archive(policy, static_cast<uint32_t>(arguments.integer(4)));
    const std::string role = pg::current_user_name();
    const Value none;
    pg::as_house_owner([&] {
        pg::query(
            "INSERT INTO opsrunbook.retention_policy AS p (relation_schema, relation_name, time_column, keep,"
            " condition, archive_schema, archive_name, batch_size, enabled, role)"
            " VALUES ($1, $2, $3, $4::interval, $5, $6, $7, $8, $9, $10)"
            " ON CONFLICT (relation_schema, relation_name) DO UPDATE SET time_column = EXCLUDED.time_column,"
            " keep = EXCLUDED.keep, condition = EXCLUDED.condition, archive_schema = EXCLUDED.archive_schema,"
            " archive_name = EXCLUDED.archive_name, batch_size = EXCLUDED.batch_size, enabled = "
            "EXCLUDED.enabled,"
            " role = EXCLUDED.role, changed_at = clock_timestamp()",
            {policy.schema, policy.name, policy.time_column, policy.keep,
             policy.condition.empty() ? none : Value(policy.condition),
             policy.archive_name.empty() ? none : Value(policy.archive_schema),
             policy.archive_name.empty() ? none : Value(policy.archive_name), policy.batch_size,
             policy.enabled, role});
        pg::query("DELETE FROM opsrunbook.retention_policy_identity"
                  " WHERE relation_schema = $1 AND relation_name = $2",
                  {policy.schema, policy.name});
        note_identity(policy);
    });
    RetentionTable table;
    table.schema = policy.schema;
    table.name = policy.name;
    return plain_delete(resolve(policy), table);
}

Value drop_retention(const pg::Arguments &arguments)
{
    if (arguments.is_null(0))
        refuse("relation must not be null");
    const StoredPolicy policy = table_for(static_cast<uint32_t>(arguments.integer(0)), "");
    return forget(policy.schema, policy.name);
}

// Of a table that is gone nobody has the owner's rights: then whoever has those of the role that set the
// policy.
Value drop_retention_by_name(const pg::Arguments &arguments)
{
    const std::string schema = arguments.text(0), name = arguments.text(1);
    const pg::Result relation =
        pg::query("SELECT to_regclass(format('%I.%I', $1, $2))::oid::bigint", {schema, name});
    if (!relation.at(0, size_t{0}).is_null()) {
        table_for(static_cast<uint32_t>(relation.at(0, size_t{0}).integer()), "");
        return forget(schema, name);
    }
    const int64_t caller = pg::current_user();
    const pg::Result mine = pg::as_house_owner([&] {
        return pg::query(
            "SELECT coalesce((SELECT pg_has_role($3::bigint::oid, r.oid, 'USAGE') FROM pg_roles r"
            " WHERE r.rolname = p.role), false) FROM opsrunbook.retention_policy p"
            " WHERE p.relation_schema = $1 AND p.relation_name = $2",
            {schema, name, caller});
    });
    if (mine.empty())
        return false;
    if (!mine.at(0, size_t{0}).boolean() && !pg::is_superuser())
        throw Error(
            ErrorKind::not_allowed, "permission denied for this retention policy",
            "Only the role that set it, or a superuser, may remove the policy of a table that is gone.");
    return forget(schema, name);
}

} // namespace opsrunbook::maintenance
