#include "pg/catalog/standing.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "pg/boundary.hpp"
#include "pg/database.hpp"

namespace opsrunbook::pg {

void read_standby_replay(observed::Server &server)
{
    if (!server.in_recovery)
        return;
    const Result rows = query(
        "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver) AS receiving, pg_is_wal_replay_paused() AS paused,"
        " pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::int8 AS unreplayed,"
        " extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS since_commit");
    observed::StandbyReplay replay;
    const auto conninfo = server.settings.find("primary_conninfo");
    replay.has_primary = conninfo != server.settings.end() && !conninfo->second.value.empty();
    replay.receiving = rows.at(0, "receiving").boolean();
    replay.paused = rows.at(0, "paused").boolean();
    if (const base::Value &bytes = rows.at(0, "unreplayed"); !bytes.is_null())
        // what came from the archive may be ahead of what was streamed
        replay.unreplayed_bytes = std::max<int64_t>(0, bytes.integer());
    if (const base::Value &age = rows.at(0, "since_commit"); !age.is_null())
        replay.since_commit_seconds = age.real();
    server.replay = replay;
}

void read_extensions(observed::Server &server)
{
    const Result rows =
        query("SELECT e.extname::text AS name, e.extversion, a.default_version"
              " FROM pg_extension e LEFT JOIN pg_available_extensions() a ON a.name = e.extname"
              " ORDER BY e.extname");
    for (size_t r = 0; r < rows.size(); ++r)
        server.extensions.push_back({rows.at(r, "name").text(), rows.at(r, "extversion").text(),
                                     rows.at(r, "default_version").text()});
}

void read_notify_queue(observed::Server &server)
{
    if (server.in_recovery) // there is no LISTEN on a standby
        return;
    server.notify_queue_pct = 100 * query("SELECT pg_notification_queue_usage()").at(0, size_t{0}).real();
}

// A changed setting that waits for a restart counts as an error in pg_file_settings too, in the same words as
// a bad value.  Reading the view marks those settings as pending, so they are told apart by reading
// pg_settings after it.
void read_setting_file_errors(observed::Server &server)
{
    const Result lines =
        query("SELECT coalesce(name, '') AS name, format('%s line %s: %s', sourcefile, sourceline,"
              " concat_ws(': ', name, error)) AS line FROM pg_file_settings WHERE error IS NOT NULL"
              " ORDER BY seqno");
    if (lines.empty())
        return;
    const Result pending = query("SELECT name FROM pg_settings WHERE pending_restart");
    for (size_t r = 0; r < lines.size(); ++r) {
        bool waits = false;
        for (size_t p = 0; p < pending.size(); ++p)
            waits = waits || pending.at(p, "name").text() == lines.at(r, "name").text();
        if (!waits)
            server.setting_file_errors.push_back(lines.at(r, "line").text());
    }
}

void read_outdated_collations(observed::Server &server, const observed::Relations &relations)
{
    constexpr uint32_t none = 0, database_default = 100, c_collation = 950;
    base::Value::Integers used;
    for (const observed::IndexColumn &column : relations.index_columns)
        if (column.collation != none && column.collation != database_default &&
            column.collation != c_collation &&
            std::find(used.begin(), used.end(), column.collation) == used.end())
            used.push_back(column.collation);
    if (used.empty())
        return;
    const Result rows =
        query("SELECT n.nspname::text AS schema, c.collname::text AS name, c.collversion AS recorded,"
              " pg_collation_actual_version(c.oid) AS actual"
              " FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace"
              " WHERE c.oid = ANY ($1::int8[]::oid[]) AND c.collversion <> pg_collation_actual_version(c.oid)"
              " ORDER BY 1, 2",
              {used});
    for (size_t r = 0; r < rows.size(); ++r)
        server.outdated_collations.push_back(
            {base::qualified_name(rows.at(r, "schema").text(), rows.at(r, "name").text()),
             rows.at(r, "recorded").text(), rows.at(r, "actual").text()});
}

} // namespace opsrunbook::pg
