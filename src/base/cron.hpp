#pragma once
// Schedules as text: five cron fields, a nickname, or an interval of seconds.
//
//   minute hour day-of-month month day-of-week
//
// A field is a list, separated by commas, of `*`, a value, or a range `first-last`; `*` and ranges take a
// step
// (`*/5`, `1-30/2`).  Months are 1 to 12 or jan to dec; days of the week 0 to 7 or sun to sat, 0 and 7 being
// Sunday; names in any case.  Nicknames: @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually.
// Intervals: `30 seconds`, `1 second`, `10s`; 1 to 59.

#include <cstdint>
#include <string_view>

namespace opsrunbook::base {

// What a text says, as sets of bits; no text and no time zone, so that equal schedules compare equal.
struct Schedule {
    int every_seconds = 0; // 1 to 59; 0: the fields count

    uint64_t minutes = 0;       // bits 0 to 59
    uint32_t hours = 0;         // bits 0 to 23
    uint32_t days_of_month = 0; // bits 1 to 31
    uint32_t months = 0;        // bits 1 to 12
    uint32_t days_of_week = 0;  // bits 0, Sunday, to 6

    // The field begins with `*`, a step or not, as Vixie cron counts it.
    bool any_minute = false;
    bool any_hour = false;
    bool any_day_of_month = false;
    bool any_day_of_week = false;

    // Both fields of days must match, unless neither is a wildcard: then either is enough.
    bool includes_day(unsigned month, unsigned day_of_month, unsigned day_of_week) const;

    bool operator==(const Schedule &) const = default;
};

// Raises invalid_input, naming the field.  A date that no year has (`0 0 30 2 *`) is refused too, so whatever
// this returns has a next run within 40 years.
Schedule parse_schedule(std::string_view text);

} // namespace opsrunbook::base
