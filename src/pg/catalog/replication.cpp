#include "pg/catalog/topics.hpp"

#include "base/text.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

namespace opsrunbook::pg {

using namespace observed;
using base::Value;

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
                              " coalesce(confirmed_flush_lsn, restart_lsn)::text AS position,"
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
        slot.position = rows.at(r, "position").text();
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
              " e.apply_error_count, e.sync_error_count, s.subdisableonerr FROM pg_subscription s"
              " LEFT JOIN pg_stat_subscription_stats e ON e.subid = s.oid"
              " WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())");
    for (size_t r = 0; r < rows.size(); ++r)
        server.subscriptions.push_back(
            {rows.at(r, "name").text(), rows.at(r, "subenabled").boolean(), rows.at(r, "running").boolean(),
             rows.at(r, "apply_error_count").integer(), rows.at(r, "sync_error_count").integer(),
             rows.at(r, "subdisableonerr").boolean()});
}

} // namespace opsrunbook::pg
