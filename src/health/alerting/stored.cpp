#include "health/alerting/stored.hpp"

#include <algorithm>
#include <map>

#include "pg/database.hpp"
#include "pg/guarded_query.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

std::optional<double> number(const base::Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.real());
}

} // namespace

Status parse_status(const std::string &text)
{
    for (const Status status : {Status::ok, Status::warning, Status::critical})
        if (status_text(status) == text)
            return status;
    return Status::unknown;
}

std::vector<UserCheck> read_user_checks()
{
    const pg::Result rows = pg::as_house_owner([] {
        return pg::query(
            "SELECT name, sql, warning, critical, direction, unit, in_score, timeout_ms, description,"
            " role::oid::bigint AS role, search_path FROM opsrunbook.user_check ORDER BY name");
    });
    std::vector<UserCheck> checks(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
        UserCheck &check = checks[r];
        check.name = rows.at(r, "name").text();
        check.sql = rows.at(r, "sql").text();
        check.warning = number(rows.at(r, "warning"));
        check.critical = number(rows.at(r, "critical"));
        check.direction = parse_direction(rows.at(r, "direction").text());
        check.unit = rows.at(r, "unit").text();
        check.in_score = rows.at(r, "in_score").boolean();
        check.timeout_ms = rows.at(r, "timeout_ms").integer();
        check.description = rows.at(r, "description").text();
        check.role = static_cast<unsigned>(rows.at(r, "role").integer());
        check.search_path = rows.at(r, "search_path").text();
    }
    return checks;
}

UserCheckResult run_user_check(const UserCheck &check)
{
    const pg::Measured measured =
        pg::measure({check.sql, check.role, check.search_path, static_cast<int>(check.timeout_ms)});
    return {measured.value, measured.problem};
}

std::vector<Mute> read_mutes()
{
    const pg::Result rows = pg::as_house_owner([] {
        return pg::query("SELECT check_id, object, until, until::text AS until_text, reason, set_by, severity"
                         " FROM opsrunbook.mute WHERE until > now() ORDER BY check_id, object");
    });
    std::vector<Mute> mutes;
    for (size_t r = 0; r < rows.size(); ++r)
        mutes.push_back({rows.at(r, "check_id").text(), rows.at(r, "object").text(),
                         rows.at(r, "until").timestamp().value_or(base::Timestamp()),
                         rows.at(r, "until_text").text(), rows.at(r, "reason").text(),
                         rows.at(r, "set_by").text(), parse_status(rows.at(r, "severity").text())});
    return mutes;
}

namespace {

constexpr int server_tells_inactivity = 170000;

bool nobody_reads(const observed::Slot &slot)
{
    return !slot.active && !slot.inactive_seconds;
}

} // namespace

void add_inactivity(observed::Server &server)
{
    if (server.in_recovery || server.version >= server_tells_inactivity ||
        std::none_of(server.slots.begin(), server.slots.end(), nobody_reads))
        return;
    const pg::Result rows = pg::house_query(
        "SELECT name, position, greatest(extract(epoch FROM clock_timestamp() - since), 0)::float8 AS seconds"
        " FROM opsrunbook.inactive_slot");
    for (observed::Slot &slot : server.slots)
        for (size_t r = 0; r < rows.size(); ++r)
            if (nobody_reads(slot) && rows.at(r, "name").text() == slot.name &&
                rows.at(r, "position").text() == slot.position)
                slot.inactive_seconds = rows.at(r, "seconds").real();
}

void remember_inactive_slots(const observed::Server &server)
{
    if (server.version >= server_tells_inactivity || server.unseen.contains("replication slots"))
        return;
    base::Value::Texts names, positions;
    for (const observed::Slot &slot : server.slots)
        if (!slot.active) {
            names.push_back(slot.name);
            positions.push_back(slot.position);
        }
    pg::query("DELETE FROM opsrunbook.inactive_slot WHERE name <> ALL ($1::text[])", {names});
    pg::query("INSERT INTO opsrunbook.inactive_slot AS s (name, position, since)"
              " SELECT n.name, n.position, statement_timestamp()"
              " FROM unnest($1::text[], $2::text[]) AS n(name, position)"
              " ON CONFLICT (name) DO UPDATE SET position = EXCLUDED.position, since = EXCLUDED.since"
              " WHERE s.position <> EXCLUDED.position",
              {names, positions});
}

void add_since(std::vector<Outcome> &outcomes)
{
    const pg::Result rows = pg::as_house_owner(
        [] { return pg::query("SELECT check_id, object, first_seen FROM opsrunbook.alert_state"); });
    if (rows.empty())
        return;
    std::map<std::pair<std::string, std::string>, std::optional<base::Timestamp>> since;
    for (size_t r = 0; r < rows.size(); ++r)
        since[{rows.at(r, "check_id").text(), rows.at(r, "object").text()}] =
            rows.at(r, "first_seen").timestamp();
    for (Outcome &outcome : outcomes)
        for (std::vector<Finding> *findings : {&outcome.findings, &outcome.muted})
            for (Finding &finding : *findings)
                if (finding.status != Status::unknown)
                    if (const auto known = since.find({finding.check_id, finding.object});
                        known != since.end())
                        finding.since = known->second;
}

} // namespace opsrunbook::health
