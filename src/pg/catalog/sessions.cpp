#include "pg/catalog/topics.hpp"

#include "base/text.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

namespace opsrunbook::pg {

using namespace observed;
using base::Value;

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

} // namespace opsrunbook::pg
