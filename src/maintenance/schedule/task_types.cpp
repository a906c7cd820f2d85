#include "maintenance/schedule/task_types.hpp"

#include <vector>

#include "base/text.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

struct TaskType {
    std::string_view name;
    const char *function;
    std::string_view statement; // %s: the quoted schema of the function
};

// A table a transaction, so that no snapshot is held while all of them are read.
constexpr std::string_view verify_all =
    "DO $$DECLARE relation oid; parts bigint; damaged bigint := 0; BEGIN"
    " FOR relation IN SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'm') AND "
    "c.relpersistence <> 't' LOOP"
    " SELECT count(*) FILTER (WHERE v.status = 'failed') INTO parts FROM pg_catalog.pg_class c,"
    " LATERAL %s.verify_table(c.oid) v WHERE c.oid = relation;"
    " damaged := damaged + parts; COMMIT; END LOOP;"
    " IF damaged > 0 THEN RAISE data_corrupted USING MESSAGE = pg_catalog.format('damaged relations: %s', "
    "damaged),"
    " HINT = 'SELECT * FROM opsrunbook.verifications WHERE damage IS NOT NULL;'; END IF; END$$";

constexpr TaskType task_types[] = {
    {"alerts", "observe_alerts", "SELECT %s.observe_alerts()"},
    {"maintenance", "run_maintenance", "CALL %s.run_maintenance()"},
    {"maintenance queue", "auto_schedule_maintenance", "SELECT %s.auto_schedule_maintenance()"},
    {"statistics", "update_table_statistics", "SELECT %s.update_table_statistics()"},
    {"verification", "verify_table", verify_all},
    {"retention", "run_retention", "CALL %s.run_retention()"},
    {"orphaned objects", "run_orphan_cleanup", "CALL %s.run_orphan_cleanup()"},
    {"index usage", "update_index_usage", "SELECT %s.update_index_usage()"},
    {"storage sizes", "record_storage_sizes", "SELECT %s.record_storage_sizes()"},
    {"history cleanup", "cleanup_maintenance_history", "SELECT %s.cleanup_maintenance_history(30)"},
};

// The schema of a function of this extension; empty when this version does not have it.
std::string schema_of(const char *function)
{
    const pg::Result found = pg::query(
        "SELECT n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'"
        " JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid"
        " WHERE p.proname = $1 AND e.extname = 'opsrunbook' LIMIT 1",
        {function});
    return found.empty() ? "" : base::quote_identifier(found.at(0, size_t{0}).text());
}

} // namespace

std::string statement_of_type(const std::string &name)
{
    for (const TaskType &type : task_types) {
        if (type.name != name)
            continue;
        const std::string schema = schema_of(type.function);
        std::string statement(type.statement);
        return schema.empty() ? "" : statement.replace(statement.find("%s"), 2, schema);
    }
    return "";
}

std::string task_type_names()
{
    std::vector<std::string> names;
    for (const TaskType &type : task_types)
        names.emplace_back(type.name);
    return base::join(names, ", ");
}

} // namespace opsrunbook::maintenance
