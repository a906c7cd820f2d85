#include "pg/catalog/shapes.hpp"

#include "pg/boundary.hpp"
#include "pg/database.hpp"

namespace opsrunbook::pg {

namespace {

using namespace observed;

void read_publications(Shapes &shapes)
{
    const Result rows = query(
        "SELECT p.pubname::text AS name, p.puballtables AS everything,"
        " ARRAY(SELECT r.prrelid::int8 FROM pg_publication_rel r WHERE r.prpubid = p.oid) AS tables,"
        " ARRAY(SELECT s.pnnspid::int8 FROM pg_publication_namespace s WHERE s.pnpubid = p.oid) AS schemas"
        " FROM pg_publication p WHERE p.pubupdate OR p.pubdelete");
    for (size_t r = 0; r < rows.size(); ++r) {
        Publication publication;
        publication.name = rows.at(r, "name").text();
        publication.all_tables = rows.at(r, "everything").boolean();
        for (const int64_t oid : rows.at(r, "tables").integers())
            publication.tables.insert(static_cast<uint32_t>(oid));
        for (const int64_t oid : rows.at(r, "schemas").integers())
            publication.schemas.insert(static_cast<uint32_t>(oid));
        shapes.publications.push_back(std::move(publication));
    }
}

void read_default_partitions(Shapes &shapes)
{
    const Result rows = query("SELECT partdefid FROM pg_partitioned_table WHERE partdefid <> 0");
    for (size_t r = 0; r < rows.size(); ++r)
        shapes.default_partitions.push_back(static_cast<uint32_t>(rows.at(r, size_t{0}).integer()));
}

void read_narrow_keys(Shapes &shapes, const Relations &relations)
{
    constexpr float smallint_rows = 10000, integer_rows = 10e6; // below these no key is near its end
    base::Value::Integers large;
    for (const Table &table : relations.tables)
        if (table.relation.rows > smallint_rows && table.relation.kind == 'r')
            large.push_back(table.relation.oid);
    if (large.empty())
        return;
    const Result rows =
        query("SELECT i.indrelid, quote_ident(a.attname) AS col, format_type(a.atttypid, NULL) AS type"
              " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
              " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
              " WHERE i.indrelid IN (SELECT unnest($1)::oid) AND i.indisprimary AND i.indnkeyatts = 1"
              " AND (a.atttypid = 'int2'::regtype OR a.atttypid = 'int4'::regtype AND c.reltuples > $2)",
              {large, static_cast<double>(integer_rows)});
    for (size_t r = 0; r < rows.size(); ++r)
        shapes.narrow_keys.push_back({static_cast<uint32_t>(rows.at(r, "indrelid").integer()),
                                      rows.at(r, "col").text(), rows.at(r, "type").text()});
}

} // namespace

Shapes read_shapes(Server &server, const Relations &relations)
{
    Shapes shapes;
    if (const auto error = attempt([&] {
            read_publications(shapes);
            read_default_partitions(shapes);
            read_narrow_keys(shapes, relations);
        }))
        server.unseen["table shapes"] = error->message;
    return shapes;
}

} // namespace opsrunbook::pg
