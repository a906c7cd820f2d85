// Objects that a table lists and nothing refers to.  Whatever makes it doubtful that a rule sees every
// reference (a relation that is gone, no reference at all, row security) keeps the objects.
//
// Triggers of an object table are its owner's, so each table is cleaned with its owner's rights, which the
// caller must have too, and in a subtransaction: what fails there stops no other table.
#include "maintenance/retention/retention.hpp"

#include <functional>
#include <map>

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/retention/application.hpp"
#include "maintenance/retention/orphan_statements.hpp"
#include "pg/as_role.hpp"
#include "pg/database.hpp"
#include "pg/notice.hpp"
#include "pg/procedure.hpp"
#include "pg/role.hpp"

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

struct Named {
    std::string schema, name;
    bool permitted;
    uint32_t owner;
};

Named table_of(int64_t relation, const char *what)
{
    const pg::Result result =
        pg::query("SELECT n.nspname::text, c.relname::text, pg_has_role(c.relowner, "
                  "'USAGE'), c.relkind IN ('r', 'p') AND"
                  " c.relpersistence <> 't', c.relowner::bigint FROM pg_class c JOIN pg_namespace n ON "
                  "n.oid = c.relnamespace WHERE c.oid = $1::bigint::oid",
                  {relation});
    if (result.empty() || !result.at(0, size_t{3}).boolean())
        refuse(format("%s is not an ordinary or partitioned table", what));
    return {result.at(0, size_t{0}).text(), result.at(0, size_t{1}).text(), result.at(0, size_t{2}).boolean(),
            static_cast<uint32_t>(result.at(0, size_t{4}).integer())};
}

// The category of the column's type; refuses when there is no such column.
std::string category_of(int64_t relation, const std::string &column)
{
    const pg::Result result =
        pg::query("SELECT CASE WHEN t.typname = 'uuid' THEN 'S' ELSE t.typcategory::text END"
                  " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
                  " WHERE a.attrelid = $1::bigint::oid AND a.attname = $2 AND a.attnum > 0"
                  " AND NOT a.attisdropped",
                  {relation, column});
    if (result.empty())
        refuse(format("column %s does not exist", base::quote_identifier(column).c_str()));
    return result.at(0, size_t{0}).text();
}

constexpr const char *what_to_do = "Remove the rule with opsrunbook.remove_orphan_rule(), or bring back what "
                                   "it looks at and what the table's "
                                   "owner needs to read it: a GRANT, or a way past row security.";

struct Rules {
    ObjectTable table;
    uint32_t owner = 0;              // of the object table
    std::string doubt;               // why nothing of this table is touched; empty: no doubt
    bool concerns_the_caller = true; // who has the rights to clean it up; gone: to remove the rule
};

// The rules of each table and name column together.
std::map<std::pair<std::string, std::string>, Rules> rules_by_table()
{
    const int64_t caller = pg::current_user();
    const pg::Result result = pg::as_house_owner([&] {
        return pg::query(
            "SELECT r.*, r.min_age::text AS least_age, o.oid IS NOT NULL AS object_stands,"
            " to_regclass(format('%I.%I', reference_schema, reference_name)) IS NOT NULL AS reference_stands,"
            " opsrunbook.reason_against(o.oid, k.object_oid,"
            " to_regclass(format('%I.%I', reference_schema, reference_name)), k.reference_oid, r.role,"
            " k.role_oid) AS against,"
            " o.relowner::bigint AS owner, pg_get_userbyid(o.relowner)::text AS owner_name,"
            " coalesce(pg_has_role($1::oid, o.relowner, 'USAGE'), false) AS permitted,"
            " coalesce(pg_has_role($1::oid, coalesce(o.relowner, (SELECT x.oid FROM pg_roles x"
            "  WHERE x.rolname = r.role)), 'USAGE'), (SELECT x.rolsuper FROM pg_roles x"
            "  WHERE x.oid = $1::oid)) AS concerns_the_caller"
            " FROM opsrunbook.orphan_rule r LEFT JOIN pg_class o"
            " ON o.oid = to_regclass(format('%I.%I', object_schema, object_name)) AND o.relkind IN ('r', 'p')"
            " LEFT JOIN opsrunbook.orphan_rule_identity k ON k.name = r.name"
            " ORDER BY r.name",
            {caller});
    });
    std::map<std::pair<std::string, std::string>, Rules> grouped;
    for (size_t row = 0; row < result.size(); ++row) {
        const auto text = [&](const char *column) { return result.at(row, column).text(); };
        const std::string object = base::qualified_name(text("object_schema"), text("object_name"));
        Rules &rules = grouped[{object, text("name_column")}];
        rules.table.relation = object;
        rules.table.name_column = text("name_column");
        rules.owner = static_cast<uint32_t>(result.at(row, "owner").integer());
        rules.concerns_the_caller = result.at(row, "concerns_the_caller").boolean();
        if (rules.table.bucket_column.empty())
            rules.table.bucket_column = text("bucket_column");
        if (rules.table.size_column.empty())
            rules.table.size_column = text("size_column");
        const ObjectTable::Age age{text("age_column"), text("least_age")};
        if (!age.column.empty())
            rules.table.ages.push_back(age);
        const std::string &match = text("match");
        const std::string reference = base::qualified_name(text("reference_schema"), text("reference_name"));
        rules.table.references.push_back({reference, text("reference_column"),
                                          match == "exact"    ? ReferenceMatch::exact
                                          : match == "suffix" ? ReferenceMatch::suffix
                                                              : ReferenceMatch::contains});
        if (!text("against").empty())
            rules.doubt = format("rule %s is not applied: %s", text("name").c_str(), text("against").c_str());
        if (!result.at(row, "permitted").boolean())
            rules.doubt = format("only a role with the rights of %s, who owns the table, may clean it up",
                                 base::quote_identifier(text("owner_name")).c_str());
        for (const auto &[column, relation] :
             {std::pair("object_stands", object), std::pair("reference_stands", reference)})
            if (!result.at(row, column).boolean())
                rules.doubt =
                    format("rule %s: %s does not exist any more", text("name").c_str(), relation.c_str());
    }
    return grouped;
}

// Ties the rules of this name to the tables they name; after a dump and restore their OIDs are not known.
void note_identities(const std::string &object)
{
    pg::house_query("INSERT INTO opsrunbook.orphan_rule_identity (name, object_oid, reference_oid, role_oid)"
                    " SELECT r.name, to_regclass(format('%I.%I', r.object_schema, r.object_name)),"
                    " to_regclass(format('%I.%I', r.reference_schema, r.reference_name)), o.oid"
                    " FROM opsrunbook.orphan_rule r JOIN pg_roles o ON o.rolname = r.role"
                    " WHERE to_regclass(format('%I.%I', r.object_schema, r.object_name)) = to_regclass($1)"
                    " AND to_regclass(format('%I.%I', r.reference_schema, r.reference_name)) IS NOT NULL"
                    " ON CONFLICT DO NOTHING",
                    {object});
}

// References that row security hides would make objects look like orphans: an error instead.
void see_everything_or_fail()
{
    pg::query("SELECT set_config('row_security', 'off', true)");
}

// With the rights of the table's owner.
pg::Result clean_up(Rules &rules, bool dry_run)
{
    see_everything_or_fail();
    for (const OrphanReference &reference : rules.table.references)
        if (!pg::query(any_reference_sql(reference)).at(0, size_t{0}).boolean()) {
            if (pg::query(orphans_sql(rules.table, false)).empty()) // nor is there an object yet
                return {};
            rules.doubt =
                format("%s.%s names no object at all, so every object would be an orphan",
                       reference.relation.c_str(), base::quote_identifier(reference.column).c_str());
            return {};
        }
    return pg::query(orphans_sql(rules.table, !dry_run));
}

// What was not done of what the caller may do, and why.
std::string clean_up_all(bool dry_run, const std::function<void(const pg::Result &)> &tell)
{
    std::string undone;
    auto grouped = rules_by_table();
    if (grouped.empty()) {
        pg::notice(
            "there is no orphan rule, so nothing is known to be an orphan",
            "Add one: SELECT opsrunbook.add_orphan_rule('images', object_relation => 'storage.objects', "
            "name_column => "
            "'name', reference_relation => 'products', reference_column => 'image_url', match => 'suffix', "
            "bucket_column => 'bucket_id');");
        return undone;
    }
    for (auto &[key, rules] : grouped) {
        // The commit is not the owner's.  Each time: a trigger of the last table may have deferred all.
        if (!dry_run)
            pg::query("SET CONSTRAINTS ALL IMMEDIATE");
        pg::Result found;
        if (rules.doubt.empty())
            if (const auto error = pg::try_as_role(
                    rules.owner, [&, &cleaned = rules] { found = clean_up(cleaned, dry_run); }))
                rules.doubt = said(*error);
        if (!rules.doubt.empty()) {
            pg::warning(format("skipped %s: %s", rules.table.relation.c_str(), rules.doubt.c_str()),
                        what_to_do);
            if (rules.concerns_the_caller)
                undone += (undone.empty() ? "" : "; ") + rules.table.relation + ": " + rules.doubt;
            continue;
        }
        if (!dry_run)
            note_identities(rules.table.relation);
        tell(found);
    }
    return undone;
}

} // namespace

Value add_orphan_rule(const pg::Arguments &arguments)
{
    for (const auto &[number, name] :
         {std::pair(0, "name"), std::pair(1, "object_relation"), std::pair(2, "name_column"),
          std::pair(3, "reference_relation"), std::pair(4, "reference_column"), std::pair(5, "match"),
          std::pair(9, "min_age")})
        if (arguments.is_null(number))
            refuse(format("%s must not be null", name));
    const int64_t object = arguments.integer(1), reference = arguments.integer(3);
    const std::string match = arguments.text(5), min_age = arguments.printed(9);
    if (match != "exact" && match != "suffix" && match != "contains")
        refuse("match must be exact, suffix or contains", "It is \"" + match + "\".");
    const Named objects = table_of(object, "object_relation"),
                references = table_of(reference, "reference_relation");
    if (!objects.permitted)
        throw Error(ErrorKind::not_allowed,
                    "permission denied for table " + base::qualified_name(objects.schema, objects.name),
                    "Only a role with the rights of its owner may decide which of its rows are orphans.");
    category_of(object, arguments.text(2));
    if (category_of(reference, arguments.text(4)) != "S" && match != "contains")
        refuse("the reference column is no text",
               "Only match => 'contains' finds names inside of arrays, JSON and other types.",
               "Use match => 'contains', or name a column of type text, varchar or uuid.");
    for (const int number : {6, 7})
        if (!arguments.is_null(number))
            category_of(object, arguments.text(number));
    std::string age = arguments.text(8);
    const bool needs_age = pg::query("SELECT $1::interval > '0'", {min_age}).at(0, size_t{0}).boolean();
    if (age.empty() && needs_age) {
        age = "created_at";
        if (pg::query("SELECT FROM pg_attribute WHERE attrelid = $1::bigint::oid AND attname = 'created_at' "
                      "AND NOT attisdropped",
                      {object})
                .processed == 0)
            refuse("the object table has no column created_at", "min_age is " + min_age + ".",
                   "Name its time column with age_column => '...', or give min_age => '0'.");
    }
    if (!age.empty() && category_of(object, age) != "D")
        refuse(format("column %s is no time", base::quote_identifier(age).c_str()));
    // The objects' owner looks for the references, whoever calls.
    const OrphanReference read{
        base::qualified_name(references.schema, references.name), arguments.text(4), {}};
    if (const auto error = pg::try_as_role(objects.owner, [&] {
            see_everything_or_fail();
            pg::query("EXPLAIN " + any_reference_sql(read));
        }))
        throw Error(
            ErrorKind::not_allowed,
            format("the owner of table %s cannot read the references in %s",
                   base::qualified_name(objects.schema, objects.name).c_str(), read.relation.c_str()),
            said(*error),
            "Grant the owner USAGE on its schema and SELECT on the table. Where row security is on, the "
            "owner must be past it: by BYPASSRLS, or as the owner of the references without FORCE ROW "
            "LEVEL SECURITY.");
    const std::string role = pg::current_user_name();
    const int64_t role_oid = pg::current_user();
    pg::as_house_owner([&] {
        const auto there =
            pg::query("SELECT FROM opsrunbook.orphan_rule WHERE name = $1", {arguments.value(0)});
        if (there.processed > 0)
            throw Error(ErrorKind::duplicate, "orphan rule \"" + arguments.text(0) + "\" already exists", "",
                        "SELECT opsrunbook.remove_orphan_rule(" + base::quote_literal(arguments.text(0)) +
                            "); removes it.");
        pg::query(
            "INSERT INTO opsrunbook.orphan_rule (name, object_schema, object_name, name_column, "
            "reference_schema,"
            " reference_name, reference_column, match, bucket_column, size_column, age_column, min_age, role)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::interval, $13)",
            {arguments.value(0), objects.schema, objects.name, arguments.text(2), references.schema,
             references.name, arguments.text(4), match, arguments.value(6), arguments.value(7),
             age.empty() ? Value() : Value(age), min_age, role});
        pg::query("INSERT INTO opsrunbook.orphan_rule_identity (name, object_oid, reference_oid, role_oid)"
                  " VALUES ($1, $2::bigint::oid, $3::bigint::oid, $4::bigint::oid)",
                  {arguments.value(0), object, reference, role_oid});
    });
    return format("objects of %s that %s.%s does not name any more are orphans: SELECT * FROM "
                  "cleanup_orphaned_images(dry_run => true); lists them",
                  base::qualified_name(objects.schema, objects.name).c_str(),
                  base::qualified_name(references.schema, references.name).c_str(),
                  base::quote_identifier(arguments.text(4)).c_str());
}

Value remove_orphan_rule(const pg::Arguments &arguments)
{
    const pg::Result rule = pg::as_house_owner([&] {
        return pg::query("SELECT to_regclass(format('%I.%I', object_schema, object_name))::oid::bigint, role"
                         " FROM opsrunbook.orphan_rule WHERE name = $1",
                         {arguments.value(0)});
    });
    if (rule.empty())
        return false;
    const Value &object = rule.at(0, size_t{0});
    const bool permitted = object.is_null()
                               ? pg::is_superuser() || rule.at(0, size_t{1}).text() == pg::current_user_name()
                               : table_of(object.integer(), "the object table").permitted;
    if (!permitted)
        throw Error(ErrorKind::not_allowed, "permission denied for this orphan rule",
                    "Only a role with the rights of the object table's owner may remove it.");
    pg::as_house_owner(
        [&] { pg::query("DELETE FROM opsrunbook.orphan_rule WHERE name = $1", {arguments.value(0)}); });
    return true;
}

void cleanup_orphaned_images(const pg::Arguments &arguments, pg::Rows &rows)
{
    const bool dry_run = arguments.boolean(0);
    clean_up_all(dry_run, [&](const pg::Result &found) {
        for (size_t row = 0; row < found.size(); ++row)
            rows.add({found.at(row, "image_name"), found.at(row, "bucket"), found.at(row, "size_bytes"),
                      dry_run ? "would delete" : "deleted"});
    });
}

// The error comes after the commit: it must not bring back what was cleaned up.
void run_orphan_cleanup(const pg::Arguments &)
{
    pg::commit_procedure();
    int64_t deleted = 0;
    const std::string undone =
        clean_up_all(false, [&](const pg::Result &found) { deleted += static_cast<int64_t>(found.size()); });
    pg::commit_procedure();
    pg::notice(base::plural(deleted, "orphaned object") + " deleted", "");
    if (!undone.empty())
        throw Error(ErrorKind::not_ready, "orphaned objects were not cleaned up everywhere", undone,
                    what_to_do);
}

} // namespace opsrunbook::maintenance
