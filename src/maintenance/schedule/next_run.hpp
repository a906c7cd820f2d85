#pragma once
// When a schedule runs, in a time zone.
//
// Where the clocks change, as Vixie cron does:
//  - Spring, a local time that does not exist.  A run whose hour field is no wildcard happens once, at the
//    first instant after the gap, however many of its times the gap swallowed.  With a wildcard hour
//    (`30 * * * *`) nothing is made up for: the next local time that matches comes an hour later by the
//    clock.
//  - Autumn, a local time that comes twice.  A fixed time (neither minute nor hour a wildcard) runs the first
//    time only.  With a wildcard in either the schedule follows real time: `*/15 * * * *` runs every 15
//    minutes of both hours.
// A field is a wildcard when it begins with `*` (base/cron.hpp).  Differing from Vixie cron, `*/15 2 * * *`
// in a gap from 2 to 3 runs once, at 3: no day passes without a run.
//
// Intervals of seconds know no zone: they run at the multiples of their length since 2000-01-01 00:00 UTC.

#include <optional>

#include "base/cron.hpp"
#include "base/value.hpp"

namespace opsrunbook::maintenance {

// The rules of a zone.  Two changes of the offset within one day are not told apart from one.
class TimeZone {
public:
    virtual ~TimeZone() = default;
    // East of UTC is positive, less than a day; valid from that very instant on.
    virtual int utc_offset_seconds(base::Timestamp at) const = 0;
};

// The first run later than `after`; one before the year 1 counts as that.  Nothing when there is none within
// 40 years (29 February on a given day of the week can take that long; every parsed schedule has one), or
// from the year 9990 on, infinity among others.
std::optional<base::Timestamp> next_run(const base::Schedule &schedule, base::Timestamp after,
                                        const TimeZone &zone);

// The last run later than `after`, not later than `until`.  Takes about 30 calls of next_run(), whatever lies
// between.
std::optional<base::Timestamp> latest_run(const base::Schedule &schedule, base::Timestamp after,
                                          base::Timestamp until, const TimeZone &zone);

} // namespace opsrunbook::maintenance
