#include "pg/catalog/server.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "pg/boundary.hpp"
#include "pg/catalog/disk.hpp"
#include "pg/catalog/standing.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

namespace opsrunbook::pg {

namespace {

using namespace observed;
using base::Value;

std::optional<double> optional_real(const Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.real());
}

std::optional<int64_t> optional_integer(const Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.integer());
}

std::optional<std::string> optional_text(const Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.text());
}

// Reads one topic in a subtransaction: what the server refuses is noted, not raised.
template <class Read> void topic(Server &server, const char *name, Read read)
{
    if (const auto error = attempt(read))
        server.unseen[name] = error->message;
}

void read_basics(Server &server)
{
    const Result row =
        query("SELECT now() AS now, current_setting('server_version_num')::int4 AS version,"
              " pg_is_in_recovery() AS in_recovery, pg_postmaster_start_time() AS started,"
              " current_user::text AS username,"
              " current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' AS statements,"
              " least((SELECT stats_reset FROM pg_stat_bgwriter), (SELECT stats_reset FROM pg_stat_wal),"
              " (SELECT stats_reset FROM pg_stat_archiver)) AS counting_since");
    server.now = *row.at(0, "now").timestamp();
    server.version = static_cast<int>(row.at(0, "version").integer());
    server.in_recovery = row.at(0, "in_recovery").boolean();
    server.started = row.at(0, "started").timestamp();
    server.counting_since = row.at(0, "counting_since").timestamp();
    server.user = row.at(0, "username").text();
    server.statements_preloaded = row.at(0, "statements").boolean();
    server.preloaded = settings().preloaded;
}

void read_databases(Server &server)
{
    const Result rows = query(
        "SELECT d.datname::text AS name, d.oid, d.datname = current_database() AS current, d.datallowconn,"
        " d.datconnlimit = -2 AS invalid, d.datconnlimit, age(d.datfrozenxid)::int8 AS xid_age,"
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

void read_sessions(Server &server)
{
    // The server keeps the first picture of its sessions that a transaction took; ours is to be of now.
    query("SELECT pg_stat_clear_snapshot()");
    const Result rows = query(
        "SELECT a.pid, a.usename::text AS username, a.datname::text AS database, a.application_name, "
        "a.state, a.query,"
        " a.backend_type, a.wait_event_type, a.wait_event,"
        " extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_seconds,"
        " extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_seconds,"
        " extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_seconds,"
        " extract(epoch FROM clock_timestamp() - w.since)::float8 AS wait_seconds,"
        " age(a.backend_xid)::int8 AS xid_age, age(a.backend_xmin)::int8 AS xmin_age,"
        " CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) END AS blocked_by,"
        " w.waits_for, w.wait_mode, w.held,"
        " a.query IS DISTINCT FROM '<insufficient privilege>' AS visible"
        " FROM pg_stat_activity a LEFT JOIN (SELECT l.pid, min(l.waitstart) AS since,"
        " max(l.mode) FILTER (WHERE NOT l.granted) AS wait_mode,"
        // Who waits for a row waits for the other's transaction id, and holds the row's own lock.
        " coalesce(max(l.what) FILTER (WHERE NOT l.granted AND l.locktype <> 'transactionid'),"
        " max(l.what) FILTER (WHERE l.locktype = 'tuple'),"
        " max(l.what) FILTER (WHERE NOT l.granted)) AS waits_for,"
        " count(*) FILTER (WHERE l.granted AND l.locktype NOT IN ('virtualxid', 'transactionid')) AS held"
        " FROM (SELECT k.pid, k.waitstart, k.mode, k.granted, k.locktype,"
        " CASE WHEN k.granted AND k.locktype <> 'tuple' THEN NULL" // need not be named
        " WHEN k.relation IS NOT NULL AND k.database IN (0, d.oid) THEN k.relation::regclass::text"
        " WHEN k.relation IS NOT NULL THEN 'relation ' || k.relation"
        " WHEN k.locktype = 'transactionid' THEN 'transaction ' || k.transactionid"
        " WHEN k.locktype = 'virtualxid' THEN 'virtual transaction ' || k.virtualxid"
        " WHEN k.locktype = 'advisory' THEN format('advisory lock (%s, %s)', k.classid, k.objid)"
        " ELSE k.locktype END AS what"
        " FROM pg_locks k, pg_database d WHERE d.datname = current_database() AND k.pid IS NOT NULL) l"
        " GROUP BY l.pid) w ON w.pid = a.pid WHERE a.pid <> pg_backend_pid()");
    for (size_t r = 0; r < rows.size(); ++r) {
        Session session;
        session.pid = static_cast<int>(rows.at(r, "pid").integer());
        session.user = rows.at(r, "username").text();
        session.database = rows.at(r, "database").text();
        session.application = rows.at(r, "application_name").text();
        session.state = rows.at(r, "state").text();
        session.query = rows.at(r, "query").text();
        session.kind = rows.at(r, "backend_type").text();
        session.wait_event_type = rows.at(r, "wait_event_type").text();
        session.wait_event = rows.at(r, "wait_event").text();
        session.query_seconds = optional_real(rows.at(r, "query_seconds"));
        session.transaction_seconds = optional_real(rows.at(r, "transaction_seconds"));
        session.state_seconds = optional_real(rows.at(r, "state_seconds"));
        session.wait_seconds = optional_real(rows.at(r, "wait_seconds"));
        session.xid_age = optional_integer(rows.at(r, "xid_age"));
        session.xmin_age = optional_integer(rows.at(r, "xmin_age"));
        session.blocked_by = rows.at(r, "blocked_by").integers();
        session.waits_for = rows.at(r, "waits_for").text();
        session.wait_mode = rows.at(r, "wait_mode").text();
        session.locks_held = rows.at(r, "held").integer();
        session.visible = rows.at(r, "visible").boolean();
        session.ours = session.kind.starts_with("opsrunbook");
        server.autovacuum_workers_busy += session.kind == "autovacuum worker";
        server.sessions.push_back(std::move(session));
    }
    const Result limits = query("SELECT rolname::text AS name, rolconnlimit FROM pg_roles"
                                " WHERE rolconnlimit > 0 AND NOT rolsuper");
    for (size_t r = 0; r < limits.size(); ++r)
        server.role_connection_limits[limits.at(r, "name").text()] = limits.at(r, "rolconnlimit").integer();
}

void read_prepared(Server &server)
{
    const Result rows = query(
        "SELECT gid, owner::text AS owner, database::text AS database,"
        " extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds, age(transaction)::int8 AS age"
        " FROM pg_prepared_xacts");
    for (size_t r = 0; r < rows.size(); ++r)
        server.prepared.push_back({rows.at(r, "gid").text(), rows.at(r, "owner").text(),
                                   rows.at(r, "database").text(), rows.at(r, "seconds").real(),
                                   rows.at(r, "age").integer()});
}

void read_slots(Server &server)
{
    // The position that a slot lags behind: the end of WAL, which on a standby is what it received or
    // replayed.
    const std::string head = server.in_recovery
                                 ? "greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
                                 : "pg_current_wal_lsn()";
    const std::string newer = server.version >= 170000
                                  ? "extract(epoch FROM clock_timestamp() - inactive_since)::float8 AS "
                                    "inactive_seconds, invalidation_reason, synced"
                                  : "NULL::float8 AS inactive_seconds, NULL::text AS invalidation_reason, "
                                    "false AS synced";
    const Result rows = query("SELECT slot_name::text AS name, slot_type, plugin::text AS plugin,"
                              " database::text AS database, active, temporary, wal_status, safe_wal_size,"
                              " pg_wal_lsn_diff(" +
                              head +
                              ", restart_lsn)::int8 AS retained,"
                              " age(xmin)::int8 AS xmin_age, age(catalog_xmin)::int8 AS catalog_xmin_age, " +
                              newer + " FROM pg_replication_slots");
    for (size_t r = 0; r < rows.size(); ++r) {
        Slot slot;
        slot.name = rows.at(r, "name").text();
        slot.kind = rows.at(r, "slot_type").text();
        slot.plugin = rows.at(r, "plugin").text();
        slot.database = rows.at(r, "database").text();
        slot.wal_status = rows.at(r, "wal_status").text();
        slot.invalidation_reason = rows.at(r, "invalidation_reason").text();
        slot.active = rows.at(r, "active").boolean();
        slot.temporary = rows.at(r, "temporary").boolean();
        slot.synced = rows.at(r, "synced").boolean();
        slot.retained_bytes = optional_integer(rows.at(r, "retained"));
        slot.safe_bytes = optional_integer(rows.at(r, "safe_wal_size"));
        slot.xmin_age = optional_integer(rows.at(r, "xmin_age"));
        slot.catalog_xmin_age = optional_integer(rows.at(r, "catalog_xmin_age"));
        slot.inactive_seconds = optional_real(rows.at(r, "inactive_seconds"));
        server.slots.push_back(std::move(slot));
    }
}

void read_standbys(Server &server)
{
    const std::string head = server.in_recovery ? "pg_last_wal_replay_lsn()" : "pg_current_wal_lsn()";
    const Result rows =
        query("SELECT pid, application_name, client_addr::text AS address, state, sync_state,"
              " pg_wal_lsn_diff(" +
              head +
              ", coalesce(replay_lsn, flush_lsn))::int8 AS lag_bytes," // pg_receivewal replays nothing
              " extract(epoch FROM replay_lag)::float8 AS replay_lag,"
              " age(backend_xmin)::int8 AS xmin_age FROM pg_stat_replication");
    for (size_t r = 0; r < rows.size(); ++r) {
        Standby standby;
        standby.name = rows.at(r, "application_name").text();
        standby.address = rows.at(r, "address").text();
        standby.state = rows.at(r, "state").text();
        standby.sync_state = rows.at(r, "sync_state").text();
        standby.pid = static_cast<int>(rows.at(r, "pid").integer());
        standby.lag_bytes = optional_integer(rows.at(r, "lag_bytes"));
        standby.replay_lag_seconds = optional_real(rows.at(r, "replay_lag"));
        standby.xmin_age = optional_integer(rows.at(r, "xmin_age"));
        server.standbys.push_back(std::move(standby));
    }
}

void read_subscriptions(Server &server)
{
    const Result rows =
        query("SELECT s.subname::text AS name, s.subenabled,"
              // parallel apply workers (16) have rows of their own
              " EXISTS (SELECT FROM pg_stat_subscription a WHERE a.subid = s.oid AND a.relid IS NULL"
              " AND a.pid IS NOT NULL) AS running,"
              " e.apply_error_count, e.sync_error_count FROM pg_subscription s"
              " LEFT JOIN pg_stat_subscription_stats e ON e.subid = s.oid"
              " WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())");
    for (size_t r = 0; r < rows.size(); ++r)
        server.subscriptions.push_back(
            {rows.at(r, "name").text(), rows.at(r, "subenabled").boolean(), rows.at(r, "running").boolean(),
             rows.at(r, "apply_error_count").integer(), rows.at(r, "sync_error_count").integer()});
}

void read_archiver(Server &server)
{
    const Result rows =
        query("SELECT archived_count, failed_count, last_failed_wal,"
              " extract(epoch FROM clock_timestamp() - last_archived_time)::float8 AS since_archived,"
              " extract(epoch FROM clock_timestamp() - last_failed_time)::float8 AS since_failed,"
              " current_setting('archive_mode') AS mode,"
              " coalesce(nullif(current_setting('archive_command'), '(disabled)'), '') ||"
              " current_setting('archive_library') AS target FROM pg_stat_archiver");
    Archiver archiver;
    archiver.on =
        rows.at(0, "mode").text() == "always" || (rows.at(0, "mode").text() == "on" && !server.in_recovery);
    archiver.command_or_library = rows.at(0, "target").text();
    archiver.archived = rows.at(0, "archived_count").integer();
    archiver.failed = rows.at(0, "failed_count").integer();
    archiver.last_failed_segment = rows.at(0, "last_failed_wal").text();
    archiver.since_last_archived = optional_real(rows.at(0, "since_archived"));
    archiver.since_last_failed = optional_real(rows.at(0, "since_failed"));
    server.archiver = archiver;
    if (!archiver.on)
        return;
    topic(server, "archive status directory", [&server] {
        const Result files =
            query("SELECT count(*) AS ready,"
                  " extract(epoch FROM clock_timestamp() - min(modification))::float8 AS oldest"
                  " FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'");
        server.archiver->ready_files = files.at(0, "ready").integer();
        server.archiver->oldest_ready_seconds = optional_real(files.at(0, "oldest"));
    });
}

void read_checkpoints(Server &server)
{
    const char *const sql =
        server.version >= 170000
            ? "SELECT c.num_timed AS timed, c.num_requested AS requested, coalesce(io.writes, 0)::int8 AS "
              "by_backends,"
              " coalesce(io.fsyncs, 0)::int8 AS fsyncs,"
              " extract(epoch FROM clock_timestamp() - c.stats_reset)::float8 AS since_reset,"
              " extract(epoch FROM clock_timestamp() - k.checkpoint_time)::float8 AS since_redo, k.redo_lsn"
              " FROM pg_stat_checkpointer c, pg_control_checkpoint() k,"
              " (SELECT sum(writes) AS writes, sum(fsyncs) AS fsyncs FROM pg_stat_io"
              " WHERE backend_type = 'client backend' AND object = 'relation' AND context = 'normal') io"
            : "SELECT b.checkpoints_timed AS timed, b.checkpoints_req AS requested, b.buffers_backend AS "
              "by_backends,"
              " b.buffers_backend_fsync AS fsyncs,"
              " extract(epoch FROM clock_timestamp() - b.stats_reset)::float8 AS since_reset,"
              " extract(epoch FROM clock_timestamp() - k.checkpoint_time)::float8 AS since_redo, k.redo_lsn"
              " FROM pg_stat_bgwriter b, pg_control_checkpoint() k";
    const Result rows =
        query(base::format("SELECT *, pg_wal_lsn_diff(%s, redo_lsn)::int8 AS wal_since_redo FROM (%s) c",
                           server.in_recovery ? "pg_last_wal_replay_lsn()" : "pg_current_wal_lsn()", sql));
    server.checkpoints = Checkpoints{rows.at(0, "timed").integer(),
                                     rows.at(0, "requested").integer(),
                                     rows.at(0, "by_backends").integer(),
                                     rows.at(0, "fsyncs").integer(),
                                     optional_real(rows.at(0, "since_reset")),
                                     optional_real(rows.at(0, "since_redo")),
                                     optional_integer(rows.at(0, "wal_since_redo"))};
}

void read_wal(Server &server)
{
    const Result rows = query("SELECT wal_bytes::int8 AS bytes, wal_fpi, wal_buffers_full,"
                              " extract(epoch FROM clock_timestamp() - stats_reset)::float8 AS since_reset"
                              " FROM pg_stat_wal");
    Wal wal;
    wal.bytes_since_reset = optional_integer(rows.at(0, "bytes"));
    wal.full_page_images = optional_integer(rows.at(0, "wal_fpi"));
    wal.buffers_full = optional_integer(rows.at(0, "wal_buffers_full"));
    wal.since_reset_seconds = optional_real(rows.at(0, "since_reset"));
    server.wal = wal;
    topic(server, "WAL directory", [&server] {
        server.wal->directory_bytes =
            query("SELECT sum(size)::int8 FROM pg_ls_waldir()").at(0, size_t{0}).integer();
    });
}

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

void read_progress(Server &server)
{
    const Result vacuums = query("SELECT pid, relid, phase, index_vacuum_count FROM pg_stat_progress_vacuum"
                                 " WHERE datname = current_database()");
    for (size_t r = 0; r < vacuums.size(); ++r)
        server.vacuums.push_back({static_cast<int>(vacuums.at(r, "pid").integer()),
                                  static_cast<uint32_t>(vacuums.at(r, "relid").integer()),
                                  vacuums.at(r, "phase").text(),
                                  vacuums.at(r, "index_vacuum_count").integer()});
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

// The five places from which an old snapshot or transaction can hold back VACUUM.
void find_horizon(Server &server)
{
    for (const Session &session : server.sessions) {
        const int64_t age = std::max(session.xid_age.value_or(0), session.xmin_age.value_or(0));
        if (age > 0 && session.kind != "autovacuum worker" && session.kind != "walsender" && !session.ours)
            server.horizon.push_back({"session",
                                      base::format("pid %d (%s)", session.pid, session.user.c_str()), age,
                                      session.pid});
    }
    for (const PreparedTransaction &prepared : server.prepared)
        server.horizon.push_back({"prepared transaction", prepared.gid, prepared.age, 0});
    for (const Slot &slot : server.slots) {
        if (slot.xmin_age)
            server.horizon.push_back({"replication slot", slot.name, *slot.xmin_age, 0});
        if (slot.catalog_xmin_age)
            server.horizon.push_back({"replication slot (catalog)", slot.name, *slot.catalog_xmin_age, 0});
    }
    for (const Standby &standby : server.standbys)
        if (standby.xmin_age)
            server.horizon.push_back({"standby", standby.name, *standby.xmin_age, standby.pid});
    std::stable_sort(server.horizon.begin(), server.horizon.end(),
                     [](const HorizonHolder &a, const HorizonHolder &b) { return a.age > b.age; });
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
    topic(server, "pg_stat_statements", [&server] { read_statements(server); });
    topic(server, "progress", [&server] { read_progress(server); });
    topic(server, "standby replay", [&server] { read_standby_replay(server); });
    topic(server, "extensions", [&server] { read_extensions(server); });
    topic(server, "notification queue", [&server] { read_notify_queue(server); });
    topic(server, "disk space", [&server] { read_volumes(server); });
    server.multixact_member_bytes = multixact_member_bytes();
    server.memory_bytes = memory_bytes();
    read_configuration_files(server);
    find_horizon(server);
    return server;
}

} // namespace opsrunbook::pg
