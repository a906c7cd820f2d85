// Reads the cache's numbers; cache_advice.cpp says what they mean.
#include "health/triage/triage.hpp"

#include "base/text.hpp"
#include "health/rates.hpp"
#include "health/triage/cache_advice.hpp"
#include "pg/database.hpp"
#include "pg/catalog/disk.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

void optimize_cache(const pg::Arguments &, pg::Rows &rows)
{
    CacheNumbers numbers;
    // Sizes from the catalogs' page counts: no look at a file, no lock on a table.
    const pg::Result server = pg::query(
        "SELECT d.blks_hit, d.blks_read, d.temp_files, d.temp_bytes,"
        " extract(epoch FROM clock_timestamp() - coalesce(d.stats_reset, least(b.stats_reset, w.stats_reset,"
        " (SELECT min(a.backend_start) FROM pg_stat_activity a WHERE a.backend_type = 'checkpointer'))))"
        "::float8 AS since,"
        " pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers,"
        " pg_size_bytes(current_setting('effective_cache_size')) AS effective_cache_size,"
        " pg_size_bytes(current_setting('work_mem')) AS work_mem,"
        " (SELECT sum(c.relpages::int8) * current_setting('block_size')::int8 FROM pg_class c"
        "  WHERE c.relkind IN ('r', 'i', 't', 'm', 'S'))::int8 AS database_bytes"
        " FROM pg_stat_database d, pg_stat_bgwriter b, pg_stat_wal w WHERE d.datname = current_database()");
    numbers.blocks_hit = server.at(0, "blks_hit").integer();
    numbers.blocks_read = server.at(0, "blks_read").integer();
    numbers.temp_files = server.at(0, "temp_files").integer();
    numbers.temp_bytes = server.at(0, "temp_bytes").integer();
    numbers.shared_buffers = server.at(0, "shared_buffers").integer();
    numbers.effective_cache_size = server.at(0, "effective_cache_size").integer();
    numbers.work_mem = server.at(0, "work_mem").integer();
    numbers.database_bytes = server.at(0, "database_bytes").integer();
    numbers.memory_bytes = pg::memory_bytes();
    const base::Value &since = server.at(0, "since");
    numbers.temp_bytes_per_hour = rate(static_cast<double>(numbers.temp_bytes),
                                       since.is_null() ? std::nullopt : std::optional(since.real()), an_hour);
    const pg::Result tables = pg::query(
        "SELECT s.schemaname::text AS schema, s.relname::text AS name, s.hit, s.read, coalesce(u.seq_scan, 0)"
        " AS seq_scans, coalesce(c.relpages, 0)::int8 * current_setting('block_size')::int8 AS bytes"
        " FROM (SELECT relid, schemaname, relname, coalesce(heap_blks_hit, 0) + coalesce(idx_blks_hit, 0)"
        "  AS hit, coalesce(heap_blks_read, 0) + coalesce(idx_blks_read, 0) AS read FROM "
        "pg_statio_user_tables"
        "  ORDER BY 5 DESC LIMIT 5) s LEFT JOIN pg_class c ON c.oid = s.relid"
        " LEFT JOIN LATERAL (SELECT pg_stat_get_numscans(s.relid) AS seq_scan) u ON true"
        " WHERE s.read > 0 ORDER BY s.read DESC");
    for (size_t r = 0; r < tables.size(); ++r)
        numbers.tables.push_back(
            {base::qualified_name(tables.at(r, "schema").text(), tables.at(r, "name").text()),
             tables.at(r, "hit").integer(), tables.at(r, "read").integer(),
             tables.at(r, "seq_scans").integer(), tables.at(r, "bytes").integer()});
    for (const CacheAdvice &advice : cache_advice(numbers))
        rows.add({advice.metric, advice.current_value, advice.recommendation, advice.action_required,
                  advice.fix_command.empty() ? base::Value() : base::Value(advice.fix_command)});
}

} // namespace opsrunbook::health
