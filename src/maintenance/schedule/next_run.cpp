#include "maintenance/schedule/next_run.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

// Instants and local times are whole seconds here: since 2000-01-01 00:00 UTC, and since that date's midnight
// by the local clock.
constexpr int64_t microseconds_a_second = 1'000'000;
constexpr int64_t day_seconds = 86400, hour_seconds = 3600, minute_seconds = 60;
constexpr int64_t search_days = int64_t{40} * 366;
constexpr std::chrono::sys_days epoch = std::chrono::year(2000) / 1 / 1;
constexpr std::chrono::sys_days first_day = std::chrono::year(1) / 1 / 1;
constexpr std::chrono::sys_days last_day = std::chrono::year(9990) / 1 / 1;

int64_t floor_division(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

base::Timestamp instant(int64_t at)
{
    return {at * microseconds_a_second};
}

// Days count from the epoch.  The first one from `day` to `last` that the schedule includes.
std::optional<int64_t> matching_day(const base::Schedule &schedule, int64_t day, int64_t last)
{
    while (day <= last) {
        const std::chrono::sys_days date = epoch + std::chrono::days(day);
        const std::chrono::year_month_day parts(date);
        const auto month = static_cast<unsigned>(parts.month());
        if (!(schedule.months >> month & 1)) {
            const std::chrono::sys_days following =
                (parts.year() / parts.month() + std::chrono::months(1)) / std::chrono::day(1);
            day = (following - epoch).count();
            continue;
        }
        if (schedule.includes_day(month, static_cast<unsigned>(parts.day()),
                                  std::chrono::weekday(date).c_encoding()))
            return day;
        ++day;
    }
    return std::nullopt;
}

// The first matching time of any included day, `from` or later in seconds since midnight.
std::optional<int64_t> matching_time(const base::Schedule &schedule, int64_t from)
{
    const int64_t first_minute = (from + minute_seconds - 1) / minute_seconds;
    for (int64_t hour = first_minute / 60; hour < 24; ++hour) {
        if (!(schedule.hours >> hour & 1))
            continue;
        const int64_t start = std::max<int64_t>(first_minute - hour * 60, 0);
        const uint64_t left = schedule.minutes >> start;
        if (left != 0)
            return hour * hour_seconds + (start + std::countr_zero(left)) * minute_seconds;
    }
    return std::nullopt;
}

// The first matching local time in [from, until), as if no clock ever changed.
std::optional<int64_t> matching_local_time(const base::Schedule &schedule, int64_t from, int64_t until)
{
    while (from < until) {
        const auto day =
            matching_day(schedule, floor_division(from, day_seconds), floor_division(until - 1, day_seconds));
        if (!day)
            return std::nullopt;
        const int64_t midnight = *day * day_seconds;
        if (const auto time = matching_time(schedule, std::max<int64_t>(from - midnight, 0)))
            return midnight + *time < until ? std::optional(midnight + *time) : std::nullopt;
        from = midnight + day_seconds;
    }
    return std::nullopt;
}

struct Change {
    int64_t at; // the first instant with the new offset
    int before;
    int after;

    bool skips_local_time() const { return after > before; }
    bool repeats_local_time() const { return after < before; }
};

class Search {
public:
    Search(const base::Schedule &schedule_, const TimeZone &zone_) : schedule(schedule_), zone(zone_) {}

    // A day at a time near days that match; all others are passed over at once.
    std::optional<int64_t> first_from(int64_t at) const
    {
        const int64_t last = floor_division(at, day_seconds) + search_days;
        for (;; at += day_seconds) {
            // Offsets are less than a day, and clocks are put back by no more than one.
            const auto day = matching_day(schedule, floor_division(at + offset(at), day_seconds) - 1, last);
            if (!day)
                return std::nullopt;
            at = std::max(at, (*day - 1) * day_seconds);
            if (const auto run = first_within(at, at + day_seconds))
                return run;
        }
    }

private:
    int offset(int64_t at) const { return zone.utc_offset_seconds(instant(at)); }

    // In (from, to].
    std::optional<Change> change(int64_t from, int64_t to) const
    {
        const int before = offset(from);
        if (offset(to) == before)
            return std::nullopt;
        while (to - from > 1) {
            const int64_t middle = from + (to - from) / 2;
            (offset(middle) == before ? from : to) = middle;
        }
        return Change{to, before, offset(to)};
    }

    // The first local time from which on runs count after the change.
    int64_t resumes(const Change &change_) const
    {
        const bool fixed_time = !schedule.any_minute && !schedule.any_hour;
        return change_.at + (fixed_time ? std::max(change_.before, change_.after) : change_.after);
    }

    // In [begin, end), which are a day apart at most.
    std::optional<int64_t> first_within(int64_t begin, int64_t end) const
    {
        const auto earlier = change(begin - 1 - day_seconds, begin - 1);
        const auto later = change(begin - 1, end - 1);

        const int now = offset(begin - 1);
        int64_t from = begin + now;
        if (earlier && earlier->repeats_local_time())
            from = std::max(from, resumes(*earlier));
        if (const auto local = matching_local_time(schedule, from, (later ? later->at : end) + now))
            return *local - now;
        if (!later)
            return std::nullopt;

        if (later->skips_local_time() && !schedule.any_hour &&
            matching_local_time(schedule, later->at + later->before, later->at + later->after))
            return later->at;
        from = later->repeats_local_time() ? resumes(*later) : later->at + later->after;
        if (const auto local = matching_local_time(schedule, from, end + later->after))
            return *local - later->after;
        return std::nullopt;
    }

    const base::Schedule &schedule;
    const TimeZone &zone;
};

} // namespace

std::optional<base::Timestamp> next_run(const base::Schedule &schedule, base::Timestamp after,
                                        const TimeZone &zone)
{
    const int64_t now = std::max(floor_division(after.microseconds, microseconds_a_second),
                                 (first_day - epoch).count() * day_seconds);
    if (now > (last_day - epoch).count() * day_seconds)
        return std::nullopt;
    if (schedule.every_seconds > 0)
        return instant((floor_division(now, schedule.every_seconds) + 1) * schedule.every_seconds);
    const auto run = Search(schedule, zone).first_from(now + 1);
    return run ? std::optional(instant(*run)) : std::nullopt;
}

std::optional<base::Timestamp> latest_run(const base::Schedule &schedule, base::Timestamp after,
                                          base::Timestamp until, const TimeZone &zone)
{
    const auto run_after = [&](base::Timestamp at) {
        const auto run = next_run(schedule, at, zone);
        return run && *run <= until ? run : std::nullopt;
    };
    auto latest = run_after(after);
    if (!latest)
        return std::nullopt;
    // There is no run in (end, until]; runs are whole seconds.
    for (base::Timestamp end = until; (end - *latest).microseconds >= microseconds_a_second;) {
        const base::Timestamp middle{latest->microseconds + (end - *latest).microseconds / 2};
        if (const auto run = run_after(middle))
            latest = run;
        else
            end = middle;
    }
    return latest;
}

} // namespace opsrunbook::maintenance
