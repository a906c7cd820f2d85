#include "pg/timezone.hpp"
#include "pg/boundary.hpp"

#include <map>
#include <memory>

extern "C" {
#include "pgtime.h"
#include "utils/guc.h"
}

namespace opsrunbook::pg {

namespace {

class ServerZone final : public maintenance::TimeZone {
public:
    explicit ServerZone(const pg_tz *zone_) : zone(zone_) {}

    int utc_offset_seconds(base::Timestamp at) const override
    {
        const pg_time_t seconds = timestamptz_to_time_t(at.microseconds);
        const pg_tm *const broken_down = pg_localtime(&seconds, zone); // only computes
        return broken_down ? static_cast<int>(broken_down->tm_gmtoff) : 0;
    }

private:
    const pg_tz *zone; // cached by the server until the process ends
};

} // namespace

const maintenance::TimeZone *time_zone(const std::string &name)
{
    // Never freed: a process sees few zones, and a destructor must not run at exit.
    static auto *const zones = new std::map<std::string, std::unique_ptr<ServerZone>>;
    const auto found = zones->find(name);
    if (found != zones->end())
        return found->second.get();
    if (name.size() > TZ_STRLEN_MAX)
        return nullptr;
    const char *const text = name.c_str();
    const pg_tz *const zone = call([text]() -> const pg_tz * {
        pg_tz *const loaded = pg_tzset(text);
        return loaded && pg_tz_acceptable(loaded) ? loaded : nullptr;
    });
    if (!zone)
        return nullptr;
    return zones->emplace(name, std::make_unique<ServerZone>(zone)).first->second.get();
}

std::string session_time_zone_name()
{
    const char *const name = call([] { return pg_get_timezone_name(session_timezone); });
    return name;
}

} // namespace opsrunbook::pg
