// Setting mutes and taking them back.
#include "health/alerting/alerting.hpp"
#include "health/alerting/mutes.hpp"

#include "base/error.hpp"
#include "health/diagnosis.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;

std::string shown(const std::string &check, const std::string &object)
{
    return object == "*" ? format("check %s", check.c_str())
                         : format("check %s, object %s,", check.c_str(), object.c_str());
}

} // namespace

Value mute_alert(const pg::Arguments &arguments)
{
    const std::string check = arguments.text(0);
    const std::string object = arguments.is_null(1) ? "*" : arguments.text(1);
    const std::optional<base::Timestamp> until = arguments.value(2).timestamp();
    const std::string reason = arguments.text(3);
    const pg::Result clock = pg::query("SELECT clock_timestamp() AS now, session_user::text AS who");
    require_valid_mute(reason, until, clock.at(0, "now").timestamp().value_or(base::Timestamp()));
    if (check.empty())
        throw Error(ErrorKind::invalid_input, "a mute names a check", "",
                    "opsrunbook.findings() shows the checks that found something.");
    const Status severity = worst_covered(diagnose({check}).outcomes, check, object);
    const std::string level(status_text(severity));
    const std::string ends = pg::as_house_owner([&] {
        return pg::query("INSERT INTO opsrunbook.mute (check_id, object, until, reason, severity, set_by)"
                         " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (check_id, object) DO UPDATE"
                         " SET until = EXCLUDED.until, reason = EXCLUDED.reason, severity = "
                         "EXCLUDED.severity, set_by = EXCLUDED.set_by, set_at = EXCLUDED.set_at"
                         " RETURNING until::text",
                         {check, object, Value(until), reason, level, clock.at(0, "who")})
            .at(0, size_t{0})
            .text();
    });
    return format("%s is muted until %s; it is %s now", shown(check, object).c_str(), ends.c_str(),
                  level.c_str());
}

Value unmute_alert(const pg::Arguments &arguments)
{
    const std::string check = arguments.text(0);
    const std::string object = arguments.is_null(1) ? "*" : arguments.text(1);
    const pg::Result removed = pg::as_house_owner([&] {
        return pg::query("DELETE FROM opsrunbook.mute WHERE check_id = $1 AND object = $2 RETURNING 1",
                         {check, object});
    });
    if (removed.empty())
        throw Error(ErrorKind::undefined,
                    format("check \"%s\" has no mute for object \"%s\"", check.c_str(), object.c_str()), "",
                    "SELECT check_id, object FROM opsrunbook.mutes lists the mutes there are.");
    return true;
}

} // namespace opsrunbook::health
