#include "advice/index_trial/seen.hpp"

#include "advice/index_trial/standbys.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::Error;
using base::ErrorKind;

// A foreign key is supported by a valid index that begins with its columns, in whatever order; one that takes
// its place must also be of a method that finds a single row quickly (indexes/foreign_keys.cpp asks the
// same).
constexpr const char *index_query =
    "SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname::text AS schema_name,"
    " c.relname::text AS index_name, c.relkind::text AS kind, pg_get_userbyid(c.relowner)::text AS owner,"
    " pg_has_role(c.relowner, 'USAGE') AS owned, c.relpersistence = 't' AS temporary,"
    " i.indrelid::int8 AS table_oid, quote_ident(tn.nspname) || '.' || quote_ident(t.relname) AS table_name,"
    " i.indisvalid AND i.indisready AND i.indislive AS valid, i.indisprimary, i.indisunique, "
    "i.indisreplident,"
    " i.indisclustered, tn.nspname IN ('pg_catalog', 'pg_toast', 'information_schema') AS system,"
    " (SELECT string_agg(format('constraint %I', k.conname), ', ') FROM pg_constraint k"
    "  WHERE k.conindid = c.oid) AS constraint_name,"
    " (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = "
    "h.inhparent"
    "  JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = c.oid LIMIT 1) AS partition_of,"
    " (SELECT format('foreign key %I', f.conname) FROM pg_constraint f,"
    "  LATERAL (SELECT array_agg(a ORDER BY a) AS columns FROM unnest(f.conkey) a) key"
    "  WHERE f.contype = 'f' AND f.conrelid = i.indrelid"
    "  AND (SELECT array_agg(a ORDER BY a) FROM unnest((i.indkey::int2[])[0:cardinality(f.conkey) - 1]) a) = "
    "key.columns"
    "  AND NOT EXISTS (SELECT FROM pg_index o JOIN pg_class oc ON oc.oid = o.indexrelid"
    "   JOIN pg_am om ON om.oid = oc.relam AND om.amname IN ('btree', 'hash', 'gist')"
    "   WHERE o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid"
    "   AND o.indisvalid AND o.indisready AND o.indislive AND o.indnkeyatts >= cardinality(f.conkey)"
    "   AND o.indpred IS NULL AND NOT o.indexrelid = ANY ($2::text[]::oid[])"
    "   AND (SELECT array_agg(a ORDER BY a) FROM unnest((o.indkey::int2[])[0:cardinality(f.conkey) - 1]) a) "
    "= "
    "key.columns)"
    "  LIMIT 1) AS foreign_key,"
    " CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) END AS definition,"
    " (SELECT format('; ALTER INDEX %I.%I SET TABLESPACE %I', n.nspname, c.relname, s.spcname)"
    "  FROM pg_tablespace s WHERE s.oid = c.reltablespace) AS tablespace_undo,"
    " format('; COMMENT ON INDEX %I.%I IS %L', n.nspname, c.relname, d.description) AS comment_undo,"
    " d.description IS NOT NULL AS commented"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = "
    "c.oid"
    " LEFT JOIN pg_class t ON t.oid = i.indrelid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace"
    " LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0"
    " WHERE c.oid = $1::oid";

// Indexes on trial support nothing: they may go.
base::Value::Texts on_trial(uint32_t but)
{
    const pg::Result rows = pg::as_house_owner([but] {
        return pg::query("SELECT c.oid::text FROM opsrunbook.index_trial r JOIN pg_namespace n ON n.nspname ="
                         " r.schema_name JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = "
                         "r.index_name WHERE r.state = 'trial' AND c.oid <> $1::oid",
                         {static_cast<int64_t>(but)});
    });
    base::Value::Texts oids;
    for (size_t r = 0; r < rows.size(); ++r)
        oids.push_back(rows.at(r, size_t{0}).text());
    return oids;
}

} // namespace

SeenIndex see_index(uint32_t index)
{
    const pg::Result row = pg::query(index_query, {static_cast<int64_t>(index), on_trial(index)});
    if (row.empty())
        throw Error(ErrorKind::undefined, base::format("there is no index with OID %u", index), "",
                    "Give its name.");
    SeenIndex seen;
    seen.index = index;
    seen.table = static_cast<uint32_t>(row.at(0, "table_oid").integer());
    seen.schema_name = row.at(0, "schema_name").text();
    seen.index_name = row.at(0, "index_name").text();
    seen.definition = row.at(0, "definition").text();
    seen.undo = seen.definition + row.at(0, "tablespace_undo").text() +
                (row.at(0, "commented").boolean() ? row.at(0, "comment_undo").text() : "") + ";";
    IndexFacts &facts = seen.facts;
    facts.name = row.at(0, "name").text();
    facts.table = row.at(0, "table_name").text();
    facts.owner = row.at(0, "owner").text();
    facts.is_index = row.at(0, "kind").text() == "i";
    facts.partitioned = row.at(0, "kind").text() == "I";
    facts.owned = row.at(0, "owned").boolean();
    facts.valid = row.at(0, "valid").boolean();
    facts.primary = row.at(0, "indisprimary").boolean();
    facts.unique = row.at(0, "indisunique").boolean();
    facts.replica_identity = row.at(0, "indisreplident").boolean();
    facts.clustered = row.at(0, "indisclustered").boolean();
    facts.temporary = row.at(0, "temporary").boolean();
    facts.system = row.at(0, "system").boolean();
    facts.constraint = row.at(0, "constraint_name").text();
    facts.partition_of = row.at(0, "partition_of").text();
    facts.foreign_key = row.at(0, "foreign_key").text();
    return seen;
}

SeenIndex see_fit_index(uint32_t index)
{
    SeenIndex seen = see_index(index);
    seen.facts.standbys = use_on_standbys(seen.schema_name, seen.index_name);
    if (const auto refusal = refuse_trial(seen.facts)) {
        const ErrorKind kind = refusal->kind == Refusal::Kind::not_owner      ? ErrorKind::not_allowed
                               : refusal->kind == Refusal::Kind::not_an_index ? ErrorKind::invalid_input
                                                                              : ErrorKind::not_ready;
        throw Error(kind, refusal->message, refusal->detail, refusal->hint);
    }
    return seen;
}

} // namespace opsrunbook::advice
