#include "advice/index_trial/standbys.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;

constexpr size_t longest_name = 63;

std::string name_argument(const pg::Arguments &arguments)
{
    std::string name = arguments.text(0);
    if (name.empty() || name.size() > longest_name)
        throw Error(ErrorKind::invalid_input, "a standby's name has from 1 to 63 bytes", "",
                    "Take its application_name in pg_stat_replication, say.");
    return name;
}

std::string text_of(const pg::Result &rows)
{
    return rows.at(0, size_t{0}).text();
}

void require_of_this_server(const Value &usage)
{
    const pg::Result same = pg::query(
        "SELECT jsonb_typeof($1::jsonb -> 'indexes') = 'array' AND $1::jsonb ->> 'at' IS NOT NULL AS whole,"
        " $1::jsonb ->> 'system' = (SELECT system_identifier::text FROM pg_control_system()) AS same_system,"
        " $1::jsonb ->> 'database' = current_database() AS same_database, $1::jsonb ->> 'database' AS name",
        {usage});
    if (!same.at(0, "whole").boolean())
        throw Error(ErrorKind::invalid_input, "this is not what opsrunbook.export_index_usage() returns", "",
                    "Call that on the standby, in this database, and hand its result over unchanged.");
    if (!same.at(0, "same_system").boolean())
        throw Error(ErrorKind::invalid_input, "these counts are not of a standby of this server",
                    "The system identifiers differ.", "Take them from a physical standby of this server.");
    if (!same.at(0, "same_database").boolean())
        throw Error(ErrorKind::invalid_input, "these counts are of another database",
                    format("They are of database \"%s\".", same.at(0, "name").text().c_str()),
                    "Take them in the database of this name on the standby.");
}

} // namespace

Value declare_standby(const pg::Arguments &arguments)
{
    const std::string name = name_argument(arguments), by = pg::current_user_name();
    return pg::as_house_owner([&]() -> Value {
        return pg::query("INSERT INTO opsrunbook.standby (name, declared_by) VALUES ($1, $2) ON CONFLICT DO "
                         "NOTHING",
                         {name, by})
                   .processed > 0;
    });
}

Value forget_standby(const pg::Arguments &arguments)
{
    const std::string name = name_argument(arguments);
    return pg::as_house_owner([&]() -> Value {
        return pg::query("DELETE FROM opsrunbook.standby WHERE name = $1", {name}).processed > 0;
    });
}

constexpr const char *timeline = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"; // of a primary

std::vector<observed::DeclaredStandby> declared_standbys(bool in_recovery)
{
    if (in_recovery)
        return {};
    const pg::Result rows = pg::house_query(
        std::string(
            "SELECT name, greatest(extract(epoch FROM clock_timestamp() - streamed_at), 0)::float8 AS "
            "seconds_ago FROM opsrunbook.streaming_standby WHERE timeline = ") +
        timeline + " ORDER BY name");
    std::vector<observed::DeclaredStandby> declared;
    for (size_t r = 0; r < rows.size(); ++r)
        declared.push_back({rows.at(r, "name").text(), rows.at(r, "seconds_ago").real()});
    return declared;
}

void remember_streaming(const std::vector<observed::Standby> &standbys)
{
    Value::Texts names;
    for (const observed::Standby &standby : standbys)
        if (!standby.state.empty() && standby.state != "backup")
            names.push_back(standby.name);
    pg::query(std::string("INSERT INTO opsrunbook.streaming_standby (name, streamed_at, timeline)"
                          " SELECT name, statement_timestamp(), ") +
                  timeline +
                  " FROM opsrunbook.standby WHERE name = ANY ($1::text[]) ON CONFLICT (name) DO UPDATE"
                  " SET streamed_at = EXCLUDED.streamed_at, timeline = EXCLUDED.timeline",
              {names});
}

// The time of the last scan is counted from 16 on.
Value export_index_usage(const pg::Arguments &)
{
    return pg::
        query("SELECT jsonb_build_object('system', (SELECT system_identifier::text FROM pg_control_system()),"
              " 'database', current_database(), 'at', clock_timestamp(), 'indexes', coalesce(jsonb_agg("
              "jsonb_build_object('schema', s.schemaname, 'index', s.indexrelname, 'scans', s.idx_scan, "
              "'last',"
              " to_jsonb(s) -> 'last_idx_scan')), '[]')) FROM pg_stat_user_indexes s WHERE s.idx_scan > 0")
            .at(0, size_t{0});
}

Value import_index_usage(const pg::Arguments &arguments)
{
    const std::string name = name_argument(arguments);
    const Value usage = arguments.value(1);
    if (usage.is_null())
        throw Error(ErrorKind::invalid_input, "no counts were given", "",
                    "Give what opsrunbook.export_index_usage() returns on the standby.");
    require_of_this_server(usage);
    return pg::as_house_owner([&]() -> Value {
        // A standby's clock may be ahead; what is to come says nothing about now.
        const pg::Result standby = pg::query(
            "UPDATE opsrunbook.standby SET counted_at = greatest(counted_at, least(clock_timestamp(),"
            " ($2::jsonb ->> 'at')::timestamptz)) WHERE name = $1 RETURNING name",
            {name, usage});
        if (standby.empty())
            throw Error(ErrorKind::undefined, format("standby \"%s\" is not declared", name.c_str()), "",
                        format("SELECT opsrunbook.declare_standby(%s);", base::quote_literal(name).c_str()));
        // A count that has changed, also to a lower one after a reset, tells of scans since the last time.
        return static_cast<int64_t>(
            pg::query("INSERT INTO opsrunbook.standby_index_usage AS k (standby, schemaname, indexname, "
                      "scans, used_at)"
                      " SELECT DISTINCT ON (2, 3) $1, e ->> 'schema', e ->> 'index', (e ->> 'scans')::bigint,"
                      " least(clock_timestamp(), coalesce(e ->> 'last', $2::jsonb ->> 'at')::timestamptz)"
                      " FROM jsonb_array_elements($2::jsonb -> 'indexes') e ON CONFLICT (standby, "
                      "schemaname, indexname)"
                      " DO UPDATE SET scans = EXCLUDED.scans, used_at = CASE WHEN EXCLUDED.scans <> k.scans"
                      " THEN greatest(k.used_at, EXCLUDED.used_at) ELSE k.used_at END",
                      {name, usage})
                .processed);
    });
}

// 35 days hold each day of a month, as for indexes that seem unused.
std::string use_on_standbys(const std::string &schema, const std::string &index)
{
    return text_of(pg::as_house_owner([&] {
        return pg::query(
            "SELECT string_agg(format('%s (last on %s)', standby, date_trunc('second', used_at)), ', '"
            " ORDER BY standby) FROM opsrunbook.standby_index_usage WHERE schemaname = $1"
            " AND indexname = $2 AND used_at > clock_timestamp() - interval '35 days'",
            {schema, index});
    }));
}

std::string standbys_silent_since(const Value &moment)
{
    return text_of(pg::as_house_owner([&] {
        return pg::query("SELECT string_agg(name, ', ' ORDER BY name) FROM opsrunbook.standby"
                         " WHERE coalesce(counted_at, '-infinity') < $1::timestamptz",
                         {moment});
    }));
}

} // namespace opsrunbook::advice
