#include "pg/catalog/topics.hpp"

#include "base/text.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

namespace opsrunbook::pg {

using namespace observed;
using base::Value;

// Columns follow the version of the extension, which may be older than the server's.
void read_statements(Server &server)
{
    const Result extension =
        query("SELECT n.nspname::text AS schema, (string_to_array(e.extversion, '.'))[2]::int4 AS minor"
              " FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
              " WHERE e.extname = 'pg_stat_statements'");
    if (extension.empty()) {
        server.unseen["pg_stat_statements"] = "the extension is not installed in this database";
        return;
    }
    if (!server.statements_preloaded) {
        server.unseen["pg_stat_statements"] = "pg_stat_statements is not in shared_preload_libraries";
        return;
    }
    const std::string view = base::qualified_name(extension.at(0, "schema").text(), "pg_stat_statements");
    const bool renamed = extension.at(0, "minor").integer() >= 8;
    const std::string prefix = renamed ? "_exec" : "";
    const std::string time = "total" + prefix + "_time";
    const Result rows = query(
        "SELECT s.queryid, coalesce(r.rolname, '?')::text AS username, s.query, s.calls, s.rows, s." + time +
        " AS total_ms,"
        " s.mean" +
        prefix + "_time AS mean_ms, s.max" + prefix + "_time AS max_ms, s.min" + prefix +
        "_time AS min_ms,"
        " s.shared_blks_read, s.shared_blks_hit, s.temp_blks_written, " +
        (renamed ? "s.wal_bytes::int8" : "0::int8") +
        " AS wal_bytes,"
        " sum(s." +
        time +
        ") OVER () AS sum_ms, count(*) OVER () AS distinct_count"
        " FROM " +
        view +
        " s LEFT JOIN pg_roles r ON r.oid = s.userid"
        " WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " ORDER BY s." +
        time + " DESC LIMIT 100");
    Statements statements;
    for (size_t r = 0; r < rows.size(); ++r) {
        Statement statement;
        statement.query_id = rows.at(r, "queryid").integer();
        statement.user = rows.at(r, "username").text();
        statement.query = rows.at(r, "query").text();
        statement.calls = rows.at(r, "calls").integer();
        statement.rows = rows.at(r, "rows").integer();
        statement.total_ms = rows.at(r, "total_ms").real();
        statement.mean_ms = rows.at(r, "mean_ms").real();
        statement.max_ms = rows.at(r, "max_ms").real();
        statement.min_ms = rows.at(r, "min_ms").real();
        statement.blocks_read = rows.at(r, "shared_blks_read").integer();
        statement.blocks_hit = rows.at(r, "shared_blks_hit").integer();
        statement.temp_written = rows.at(r, "temp_blks_written").integer();
        statement.wal_bytes = rows.at(r, "wal_bytes").integer();
        statements.total_ms = rows.at(r, "sum_ms").real();
        statements.distinct = rows.at(r, "distinct_count").integer();
        statements.top.push_back(std::move(statement));
    }
    if (extension.at(0, "minor").integer() >= 9) {
        const Result info = query(
            "SELECT dealloc, extract(epoch FROM clock_timestamp() - stats_reset)::float8 AS since FROM " +
            base::quote_identifier(extension.at(0, "schema").text()) + ".pg_stat_statements_info");
        statements.evicted = info.at(0, "dealloc").integer();
        statements.since_reset_seconds = optional_real(info.at(0, "since"));
    }
    server.statements = std::move(statements);
}

} // namespace opsrunbook::pg
