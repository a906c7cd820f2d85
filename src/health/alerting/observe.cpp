// One observation: diagnose, follow the alerts, and say what fired, got worse or is over.
#include "health/alerting/alerting.hpp"
#include "health/alerting/counter_samples.hpp"
#include "health/alerting/hysteresis.hpp"
#include "health/alerting/payload.hpp"
#include "health/alerting/stored.hpp"

#include "advice/bloat/remembered.hpp"
#include "advice/index_trial/standbys.hpp"
#include "health/diagnosis.hpp"
#include "pg/database.hpp"
#include "pg/notice.hpp"
#include "pg/settings.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::Value;

std::vector<AlertState> read_states()
{
    const pg::Result rows = pg::query(
        "SELECT check_id, object, severity, message, to_json(first_seen) #>> '{}' AS since,"
        " observations_bad, observations_critical, observations_good, fired_at IS NOT NULL AS fired,"
        " notified FROM opsrunbook.alert_state ORDER BY check_id, object");
    std::vector<AlertState> states(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
        AlertState &state = states[r];
        state.check = rows.at(r, "check_id").text();
        state.object = rows.at(r, "object").text();
        state.severity = parse_status(rows.at(r, "severity").text());
        state.message = rows.at(r, "message").text();
        state.since = rows.at(r, "since").text();
        state.bad = static_cast<int>(rows.at(r, "observations_bad").integer());
        state.critical = static_cast<int>(rows.at(r, "observations_critical").integer());
        state.good = static_cast<int>(rows.at(r, "observations_good").integer());
        state.fired = rows.at(r, "fired").boolean();
        state.notified = rows.at(r, "notified").boolean();
    }
    return states;
}

void write_states(const AlertDecision &decision)
{
    Value::Texts checks, objects;
    for (const AlertState &state : decision.drop) {
        checks.push_back(state.check);
        objects.push_back(state.object);
    }
    pg::query(
        "DELETE FROM opsrunbook.alert_state s USING unnest($1::text[], $2::text[]) AS d(check_id, object)"
        " WHERE s.check_id = d.check_id AND s.object = d.object",
        {checks, objects});
    checks.clear();
    objects.clear();
    Value::Texts severities, messages;
    Value::Integers bad, critical, good, fired, notified;
    for (const AlertState &state : decision.keep) {
        checks.push_back(state.check);
        objects.push_back(state.object);
        severities.emplace_back(status_text(state.severity));
        messages.push_back(state.message);
        bad.push_back(state.bad);
        critical.push_back(state.critical);
        good.push_back(state.good);
        fired.push_back(state.fired);
        notified.push_back(state.notified);
    }
    pg::query(
        "INSERT INTO opsrunbook.alert_state AS s (check_id, object, severity, message, first_seen, last_seen,"
        " fired_at, observations_bad, observations_critical, observations_good, notified)"
        " SELECT n.check_id, n.object, n.severity, n.message, statement_timestamp(), statement_timestamp(),"
        " CASE WHEN n.fired = 1 THEN statement_timestamp() END, n.bad, n.critical, n.good, n.notified = 1"
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[],"
        " $8::int8[], $9::int8[]) AS n(check_id, object, severity, message, bad, critical, good, fired,"
        " notified)"
        " ON CONFLICT (check_id, object) DO UPDATE SET severity = EXCLUDED.severity,"
        " message = EXCLUDED.message, fired_at = coalesce(s.fired_at, EXCLUDED.fired_at),"
        " last_seen = CASE WHEN EXCLUDED.observations_bad > s.observations_bad THEN EXCLUDED.last_seen"
        " ELSE s.last_seen END, observations_bad = EXCLUDED.observations_bad,"
        " observations_critical = EXCLUDED.observations_critical,"
        " observations_good = EXCLUDED.observations_good, notified = EXCLUDED.notified",
        {checks, objects, severities, messages, bad, critical, good, fired, notified});
}

void announce(const Announcement &announcement)
{
    const AlertState &state = announcement.state;
    const std::string of = state.object.empty() ? "" : " of " + state.object;
    pg::server_log(format("opsrunbook alert %s: %s %s%s: %s",
                          std::string(event_text(announcement.event)).c_str(),
                          std::string(status_text(state.severity)).c_str(), state.check.c_str(), of.c_str(),
                          state.message.c_str()),
                   announcement.seen ? announcement.seen->fix : "");
    pg::query("SELECT pg_notify('opsrunbook_alert', $1)", {alert_payload(announcement)});
}

} // namespace

void observe_alerts(const pg::Arguments &, pg::Rows &rows)
{
    const Diagnosis diagnosis = diagnose();
    const Observation observation = observation_of(diagnosis.outcomes);
    const pg::Settings settings = pg::settings();
    const AlertDecision decision = pg::as_house_owner([&] {
        // One observer at a time; readers go on.
        pg::query("LOCK TABLE opsrunbook.alert_state IN SHARE ROW EXCLUSIVE MODE");
        const std::string now =
            pg::query("SELECT to_json(statement_timestamp()) #>> '{}'").at(0, size_t{0}).text();
        AlertDecision decided = decide_alerts(read_states(), observation,
                                              {settings.alert_fire_after, settings.alert_clear_after}, now);
        write_states(decided);
        keep_counter_sample(diagnosis.counters);
        advice::remember_bloat(diagnosis.seen.bloat);
        remember_inactive_slots(diagnosis.seen.server);
        advice::remember_streaming(diagnosis.seen.server.standbys);
        return decided;
    });
    for (const Announcement &announcement : decision.announcements)
        announce(announcement);
    rows.add({decision.count(AlertEvent::fired), decision.count(AlertEvent::cleared)});
}

} // namespace opsrunbook::health
