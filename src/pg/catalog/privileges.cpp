#include "pg/catalog/privileges.hpp"

#include "pg/catalog/topics.hpp"

namespace opsrunbook::pg {

namespace {

using namespace observed;

void read_open_schemas(Privileges &privileges)
{
    const Result rows =
        query("SELECT DISTINCT quote_ident(n.nspname) AS name FROM pg_namespace n, aclexplode(n.nspacl) a"
              " WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' AND n.nspname !~ '^pg_' ORDER BY 1");
    for (size_t r = 0; r < rows.size(); ++r)
        privileges.open_schemas.push_back(rows.at(r, "name").text());
}

// Not of extensions, whose scripts are others' to mend; not in C, which does not look names up; not with a
// body in the SQL standard's form, whose names were looked up when it was created.
void read_definer_routines(Privileges &privileges)
{
    const Result rows = query(
        "SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS "
        "signature,"
        " quote_ident(n.nspname) AS schema, o.rolname::text AS owner, o.rolsuper AS superuser,"
        " p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a"
        " WHERE a.privilege_type = 'EXECUTE' AND a.grantee = 0) AS everybody"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner"
        " JOIN pg_language l ON l.oid = p.prolang"
        " WHERE p.prosecdef AND p.prosqlbody IS NULL AND l.lanname NOT IN ('c', 'internal')"
        " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        " AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')"
        " AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a"
        " WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner))"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid"
        " AND d.deptype = 'e') ORDER BY 1");
    for (size_t r = 0; r < rows.size(); ++r)
        privileges.definer_routines.push_back({rows.at(r, "signature").text(), rows.at(r, "schema").text(),
                                               rows.at(r, "owner").text(), rows.at(r, "superuser").boolean(),
                                               rows.at(r, "everybody").boolean()});
}

} // namespace

Privileges read_privileges(Server &server)
{
    Privileges privileges;
    topic(server, "privileges", [&privileges] {
        read_open_schemas(privileges);
        read_definer_routines(privileges);
    });
    return privileges;
}

} // namespace opsrunbook::pg
