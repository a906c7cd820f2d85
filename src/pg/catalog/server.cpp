#include "pg/catalog/server.hpp"

#include "base/text.hpp"
#include "observed/horizon.hpp"
#include "pg/boundary.hpp"
#include "pg/catalog/disk.hpp"
#include "pg/catalog/standing.hpp"
#include "pg/catalog/topics.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

namespace opsrunbook::pg {

namespace {

using namespace observed;
using base::Value;

void read_basics(Server &server)
{
    const Result row = query(
        "SELECT now() AS now, current_setting('server_version_num')::int4 AS version,"
        " pg_is_in_recovery() AS in_recovery, pg_postmaster_start_time() AS started,"
        " current_user::text AS username,"
        " current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' AS statements,"
        " least((SELECT stats_reset FROM pg_stat_bgwriter), (SELECT stats_reset FROM pg_stat_wal),"
        " (SELECT stats_reset FROM pg_stat_archiver),"
        // From 17 one call resets those, and no database's.  A crash drops all, and restarts this process.
        " (SELECT min(backend_start) FROM pg_stat_activity WHERE backend_type = 'checkpointer'))"
        " AS counting_since,"
        " (SELECT min(backend_start) FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher')"
        " AS autovacuum_started,"
        " pg_snapshot_xmax(pg_current_snapshot())::text::int8 AS next_transaction_id");
    server.now = *row.at(0, "now").timestamp();
    server.version = static_cast<int>(row.at(0, "version").integer());
    server.in_recovery = row.at(0, "in_recovery").boolean();
    server.started = row.at(0, "started").timestamp();
    server.autovacuum_started = row.at(0, "autovacuum_started").timestamp();
    server.counting_since = row.at(0, "counting_since").timestamp();
    server.next_transaction_id = row.at(0, "next_transaction_id").integer();
    server.user = row.at(0, "username").text();
    server.statements_preloaded = row.at(0, "statements").boolean();
    server.preloaded = settings().preloaded;
}

void read_databases(Server &server)
{
    const Result rows = query(
        "SELECT d.datname::text AS name, d.oid, d.datname = current_database() AS current, d.datallowconn,"
        " d.datconnlimit = -2 AS invalid, d.datconnlimit, age(d.datfrozenxid)::int8 AS xid_age,"
        " d.datfrozenxid::text::int8 AS frozen,"
        " mxid_age(d.datminmxid)::int8 AS mxid_age, s.blks_read, s.blks_hit, s.xact_commit, s.xact_rollback,"
        " s.deadlocks, s.conflicts, s.temp_files, s.temp_bytes, s.checksum_failures, s.numbackends, "
        "s.stats_reset,"
        " d.datcollversion, pg_database_collation_actual_version(d.oid) AS actual_collation_version"
        " FROM pg_database d LEFT JOIN pg_stat_database s ON s.datid = d.oid");
    for (size_t r = 0; r < rows.size(); ++r) {
        Database database;
        database.name = rows.at(r, "name").text();
        database.oid = static_cast<uint32_t>(rows.at(r, "oid").integer());
        database.current = rows.at(r, "current").boolean();
        database.allows_connections = rows.at(r, "datallowconn").boolean();
        database.invalid = rows.at(r, "invalid").boolean();
        database.connection_limit = rows.at(r, "datconnlimit").integer();
        database.xid_age = rows.at(r, "xid_age").integer();
        database.frozen_transaction_id = rows.at(r, "frozen").integer();
        database.mxid_age = rows.at(r, "mxid_age").integer();
        database.blocks_read = rows.at(r, "blks_read").integer();
        database.blocks_hit = rows.at(r, "blks_hit").integer();
        database.commits = rows.at(r, "xact_commit").integer();
        database.rollbacks = rows.at(r, "xact_rollback").integer();
        database.deadlocks = rows.at(r, "deadlocks").integer();
        database.conflicts = rows.at(r, "conflicts").integer();
        database.temp_files = rows.at(r, "temp_files").integer();
        database.temp_bytes = rows.at(r, "temp_bytes").integer();
        database.checksum_failures = optional_integer(rows.at(r, "checksum_failures"));
        database.backends = rows.at(r, "numbackends").integer();
        database.stats_reset = rows.at(r, "stats_reset").timestamp();
        database.collation_version = optional_text(rows.at(r, "datcollversion"));
        database.actual_collation_version = optional_text(rows.at(r, "actual_collation_version"));
        server.databases.push_back(std::move(database));
    }
    server.shared_checksum_failures = optional_integer(
        query("SELECT checksum_failures FROM pg_stat_database WHERE datid = 0").at(0, size_t{0}));
}

void read_progress(Server &server)
{
    // Before 17 an array of 6 bytes a row, since then a tree of bitmaps.
    const char *const memory = server.version >= 170000
                                   ? "dead_tuple_bytes AS dead, max_dead_tuple_bytes AS dead_most"
                                   : "6 * num_dead_tuples AS dead, 6 * max_dead_tuples AS dead_most";
    const Result vacuums =
        query(base::format("SELECT pid, relid, phase, index_vacuum_count, heap_blks_total, heap_blks_scanned,"
                           " %s FROM pg_stat_progress_vacuum WHERE datname = current_database()",
                           memory));
    for (size_t r = 0; r < vacuums.size(); ++r)
        server.vacuums.push_back(
            {static_cast<int>(vacuums.at(r, "pid").integer()),
             static_cast<uint32_t>(vacuums.at(r, "relid").integer()), vacuums.at(r, "phase").text(),
             vacuums.at(r, "index_vacuum_count").integer(), vacuums.at(r, "heap_blks_total").integer(),
             vacuums.at(r, "heap_blks_scanned").integer(), vacuums.at(r, "dead").integer(),
             vacuums.at(r, "dead_most").integer()});
    const Result analyzes =
        query("SELECT relid FROM pg_stat_progress_analyze WHERE datname = current_database()");
    for (size_t r = 0; r < analyzes.size(); ++r)
        server.tables_being_analyzed.push_back(static_cast<uint32_t>(analyzes.at(r, "relid").integer()));
    // Which index it is about the server says in some phases only.
    const Result builds =
        query("SELECT relid FROM pg_stat_progress_create_index WHERE datname = current_database()");
    for (size_t r = 0; r < builds.size(); ++r)
        server.tables_being_indexed.push_back(static_cast<uint32_t>(builds.at(r, "relid").integer()));
}

void read_configuration_files(Server &server)
{
    topic(server, "configuration files", [&server] { read_setting_file_errors(server); });
    topic(server, "pg_hba.conf", [&server] {
        const Result files =
            query("SELECT format('line %s: %s', line_number, error) AS line FROM pg_hba_file_rules"
                  " WHERE error IS NOT NULL");
        for (size_t r = 0; r < files.size(); ++r)
            server.hba_file_errors.push_back(files.at(r, "line").text());
    });
}

} // namespace

void read_settings(Server &server)
{
    const Result rows =
        query("SELECT name, setting, unit, source, context, pending_restart FROM pg_settings");
    for (size_t r = 0; r < rows.size(); ++r)
        server.settings[rows.at(r, "name").text()] = {
            rows.at(r, "setting").text(), rows.at(r, "unit").text(), rows.at(r, "source").text(),
            rows.at(r, "context").text(), rows.at(r, "pending_restart").boolean()};
    server.max_connections = static_cast<int64_t>(server.setting_number("max_connections", 0));
    server.reserved_connections =
        static_cast<int64_t>(server.setting_number("superuser_reserved_connections", 0) +
                             server.setting_number("reserved_connections", 0));
}

Server read_sessions_only()
{
    Server server;
    read_basics(server);
    read_sessions(server);
    read_prepared(server);
    return server;
}

Server read_server()
{
    Server server;
    read_basics(server);
    read_settings(server);
    topic(server, "databases", [&server] { read_databases(server); });
    topic(server, "sessions", [&server] { read_sessions(server); });
    topic(server, "prepared transactions", [&server] { read_prepared(server); });
    topic(server, "replication slots", [&server] { read_slots(server); });
    topic(server, "standbys", [&server] { read_standbys(server); });
    topic(server, "subscriptions", [&server] { read_subscriptions(server); });
    topic(server, "archiver", [&server] { read_archiver(server); });
    topic(server, "checkpoints", [&server] { read_checkpoints(server); });
    topic(server, "WAL", [&server] { read_wal(server); });
    topic(server, "SLRU caches", [&server] { read_slru_caches(server); });
    topic(server, "pg_stat_statements", [&server] { read_statements(server); });
    topic(server, "progress", [&server] { read_progress(server); });
    topic(server, "standby replay", [&server] { read_standby_replay(server); });
    topic(server, "extensions", [&server] { read_extensions(server); });
    topic(server, "notification queue", [&server] { read_notify_queue(server); });
    topic(server, "disk space", [&server] { read_volumes(server); });
    server.multixact_member_bytes = multixact_member_bytes();
    server.memory_bytes = memory_bytes();
    read_configuration_files(server);
    server.horizon = observed::horizon_of(server);
    return server;
}

} // namespace opsrunbook::pg
