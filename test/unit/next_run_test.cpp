#include "maintenance/schedule/next_run.hpp"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/text.hpp"
#include "maintenance/schedule/due.hpp"

using namespace opsrunbook::maintenance;
using opsrunbook::base::Interval;
using opsrunbook::base::parse_schedule;
using opsrunbook::base::Schedule;
using opsrunbook::base::Timestamp;

namespace {

using namespace std::chrono;

constexpr sys_days epoch = year(2000) / 1 / 1;
constexpr int64_t day_seconds = 86400, million = 1'000'000;

int64_t seconds_of(sys_seconds at)
{
    return (at - epoch).count();
}

// "2025-03-30 01:00" or "2025-03-30 01:00:30", UTC.
Timestamp utc(const std::string &text)
{
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
    EXPECT_GE(std::sscanf(text.c_str(), "%d-%d-%d %d:%d:%d", &y, &mo, &d, &h, &mi, &s), 5) << text;
    const sys_days date = year(y) / mo / d;
    return {seconds_of(date + hours(h) + minutes(mi) + seconds(s)) * million};
}

std::string text_of(int64_t since_epoch)
{
    const auto at = epoch + seconds(since_epoch);
    const auto date = floor<days>(at);
    const year_month_day parts(date);
    const hh_mm_ss time(at - date);
    std::string out = opsrunbook::base::format(
        "%04d-%02u-%02u %02d:%02d", static_cast<int>(parts.year()), static_cast<unsigned>(parts.month()),
        static_cast<unsigned>(parts.day()), static_cast<int>(time.hours().count()),
        static_cast<int>(time.minutes().count()));
    if (time.seconds().count() != 0)
        out += opsrunbook::base::format(":%02d", static_cast<int>(time.seconds().count()));
    return out;
}

std::string text_of(std::optional<Timestamp> at)
{
    return at ? text_of(at->microseconds / million) : "never";
}

// A zone as a list of changes.
class ZoneOfChanges : public TimeZone {
public:
    struct Change {
        int64_t at;
        int offset;
    };

    ZoneOfChanges(int first_, std::vector<Change> changes_) : first(first_), changes(std::move(changes_)) {}

    int utc_offset_seconds(Timestamp at) const override
    {
        ++lookups;
        const auto after =
            std::upper_bound(changes.begin(), changes.end(), at.microseconds,
                             [](int64_t us, const Change &change) { return us < change.at * million; });
        return after == changes.begin() ? first : std::prev(after)->offset;
    }

    mutable int64_t lookups = 0;

private:
    int first;
    std::vector<Change> changes;
};

constexpr int hour_seconds = 3600;

ZoneOfChanges fixed(int offset)
{
    return {offset, {}};
}

// Last Sundays of March and October, at 01:00 UTC.
ZoneOfChanges berlin()
{
    std::vector<ZoneOfChanges::Change> changes;
    for (year y(1996); y < year(2110); ++y) {
        changes.push_back({seconds_of(sys_days(y / March / Sunday[last]) + 1h), 2 * hour_seconds});
        changes.push_back({seconds_of(sys_days(y / October / Sunday[last]) + 1h), 1 * hour_seconds});
    }
    return {hour_seconds, changes};
}

// Second Sunday of March, first Sunday of November, at 02:00 by the clock.
ZoneOfChanges new_york()
{
    std::vector<ZoneOfChanges::Change> changes;
    for (year y(2007); y < year(2110); ++y) {
        changes.push_back({seconds_of(sys_days(y / March / Sunday[2]) + 7h), -4 * hour_seconds});
        changes.push_back({seconds_of(sys_days(y / November / Sunday[1]) + 6h), -5 * hour_seconds});
    }
    return {-5 * hour_seconds, changes};
}

// The clock goes from 24:00 to 01:00, and from 24:00 back to 23:00.
ZoneOfChanges midnight_changes()
{
    return {-3 * hour_seconds,
            {{utc("2025-02-16 02:00").microseconds / million + hour_seconds, -2 * hour_seconds},
             {utc("2025-10-19 02:00").microseconds / million, -3 * hour_seconds}}};
}

// As St. John's until 2011: at 00:01, so that a moment of the next day comes before the repeated hour.
ZoneOfChanges minute_past_midnight()
{
    return {-12600,
            {{utc("2025-03-09 03:31").microseconds / million, -9000},
             {utc("2025-11-02 02:31").microseconds / million, -12600}}};
}

// As Lord Howe: half an hour.
ZoneOfChanges half_hour()
{
    return {37800,
            {{utc("2025-03-02 15:30").microseconds / million, 39600},
             {utc("2025-10-04 15:00").microseconds / million, 37800}}};
}

// As Samoa in 2011: a whole day is left out; and later one comes twice.
ZoneOfChanges whole_days()
{
    return {-10 * hour_seconds,
            {{utc("2025-03-30 10:00").microseconds / million, 14 * hour_seconds},
             {utc("2025-10-10 10:00").microseconds / million, -10 * hour_seconds}}};
}

struct Local {
    int minute, hour, day, month, weekday;
};

using Matches = std::function<bool(const Local &)>;

// All runs in (from, until], by looking at each minute and at each minute that the clock skipped.
std::vector<Timestamp> minute_by_minute(const TimeZone &zone, Timestamp from, Timestamp until,
                                        const Matches &matches, bool any_minute, bool any_hour)
{
    const auto local_matches = [&](int64_t local) {
        const auto at = epoch + seconds(local);
        const auto date = floor<days>(at);
        const year_month_day parts(date);
        const auto time = static_cast<int>(((at - date).count()) / 60);
        return matches({time % 60, time / 60, static_cast<int>(static_cast<unsigned>(parts.day())),
                        static_cast<int>(static_cast<unsigned>(parts.month())),
                        static_cast<int>(weekday(date).c_encoding())});
    };
    std::set<int64_t> seen; // local minutes that the clock has shown
    std::vector<Timestamp> runs;
    const int64_t begin = from.microseconds / million - 3 * day_seconds, end = until.microseconds / million;
    int before = zone.utc_offset_seconds({(begin - 60) * million});
    for (int64_t at = begin; at <= end; at += 60) {
        const int offset = zone.utc_offset_seconds({at * million});
        bool runs_now = local_matches(at + offset);
        const bool shown = !seen.insert(at + offset).second;
        if (shown && !any_minute && !any_hour)
            runs_now = false;
        for (int64_t skipped = at + before; skipped < at + offset; skipped += 60)
            runs_now = runs_now || (!any_hour && local_matches(skipped));
        if (runs_now && at * million > from.microseconds)
            runs.push_back({at * million});
        before = offset;
    }
    return runs;
}

std::vector<Timestamp> all_runs(const Schedule &schedule, const TimeZone &zone, Timestamp from,
                                Timestamp until)
{
    std::vector<Timestamp> runs;
    for (auto at = next_run(schedule, from, zone); at && *at <= until; at = next_run(schedule, *at, zone))
        runs.push_back(*at);
    return runs;
}

void expect_same(const std::vector<Timestamp> &runs, const std::vector<Timestamp> &expected)
{
    for (size_t at = 0; at < std::max(runs.size(), expected.size()); ++at) {
        const std::string run = at < runs.size() ? text_of(runs[at]) : "nothing";
        const std::string right = at < expected.size() ? text_of(expected[at]) : "nothing";
        ASSERT_EQ(run, right) << "run " << at;
    }
}

TEST(NextRun, OfEachSchedule)
{
    const ZoneOfChanges in_utc = fixed(0), in_berlin = berlin(), in_new_york = new_york(),
                        in_kathmandu = fixed(20700), in_st_johns = minute_past_midnight();
    struct Case {
        const char *schedule;
        const TimeZone *zone;
        const char *after;
        std::vector<const char *> next; // UTC
    };
    const Case cases[] = {
        {"* * * * *", &in_utc, "2025-01-01 00:00", {"2025-01-01 00:01", "2025-01-01 00:02"}},
        {"* * * * *", &in_utc, "2025-01-01 00:00:59", {"2025-01-01 00:01"}},
        {"*/15 * * * *", &in_utc, "2025-12-31 23:44", {"2025-12-31 23:45", "2026-01-01 00:00"}},
        {"@hourly", &in_utc, "2025-01-01 00:00:01", {"2025-01-01 01:00", "2025-01-01 02:00"}},
        {"@daily", &in_kathmandu, "2025-01-01 00:00", {"2025-01-01 18:15", "2025-01-02 18:15"}},
        {"@weekly", &in_utc, "2025-01-01 00:00", {"2025-01-05 00:00", "2025-01-12 00:00"}},
        {"@monthly", &in_utc, "2025-01-01 00:00", {"2025-02-01 00:00", "2025-03-01 00:00"}},
        {"@yearly", &in_utc, "2025-01-01 00:00", {"2026-01-01 00:00", "2027-01-01 00:00"}},
        {"0 9-17/4 * * mon-fri",
         &in_utc,
         "2025-01-03 12:00",
         {"2025-01-03 13:00", "2025-01-03 17:00", "2025-01-06 09:00"}},
        {"0 0 31 * *", &in_utc, "2025-01-31 00:00", {"2025-03-31 00:00", "2025-05-31 00:00"}},
        {"0 0 13 * 5",
         &in_utc,
         "2025-06-01 00:00",
         {"2025-06-06 00:00", "2025-06-13 00:00", "2025-06-20 00:00"}},
        {"0 0 13 2 5", &in_utc, "2025-02-10 00:00", {"2025-02-13 00:00", "2025-02-14 00:00"}},
        {"0 0 29 2 *", &in_utc, "2025-01-01 00:00", {"2028-02-29 00:00", "2032-02-29 00:00"}},
        {"0 0 29 2 *", &in_utc, "2096-03-01 00:00", {"2104-02-29 00:00"}},
        {"0 0 29 2 */7", &in_utc, "2088-03-01 00:00", {"2128-02-29 00:00"}}, // on a Sunday: 40 years
        {"0 0 30 2 1", &in_utc, "2025-02-20 00:00", {"2025-02-24 00:00", "2026-02-02 00:00"}},
        {"30 seconds", &in_utc, "2025-01-01 00:00", {"2025-01-01 00:00:30", "2025-01-01 00:01"}},
        {"7s", &in_kathmandu, "2000-01-01 00:00", {"2000-01-01 00:00:07", "2000-01-01 00:00:14"}},
        {"10s", &in_utc, "1999-12-31 23:59:55", {"2000-01-01 00:00", "2000-01-01 00:00:10"}},
        {"0 12 * * *", &in_utc, "1969-07-20 20:17", {"1969-07-21 12:00"}},
        // Spring in Berlin: 02:00 becomes 03:00 at 01:00 UTC.
        {"30 2 * * *",
         &in_berlin,
         "2025-03-29 00:00",
         {"2025-03-29 01:30", "2025-03-30 01:00", "2025-03-31 00:30"}},
        {"0,15,30 2 * * *", &in_berlin, "2025-03-29 12:00", {"2025-03-30 01:00", "2025-03-31 00:00"}},
        {"30 2,3 * * *",
         &in_berlin,
         "2025-03-29 12:00",
         {"2025-03-30 01:00", "2025-03-30 01:30", "2025-03-31 00:30"}},
        {"0 2,3 * * *", &in_berlin, "2025-03-29 12:00", {"2025-03-30 01:00", "2025-03-31 00:00"}},
        {"30 2 30 3 *", &in_berlin, "2025-01-01 00:00", {"2025-03-30 01:00", "2026-03-30 00:30"}},
        {"30 2 * * mon", &in_berlin, "2025-03-29 12:00", {"2025-03-31 00:30"}},
        {"30 * * * *", &in_berlin, "2025-03-30 00:00", {"2025-03-30 00:30", "2025-03-30 01:30"}},
        {"*/30 * * * *",
         &in_berlin,
         "2025-03-30 00:00",
         {"2025-03-30 00:30", "2025-03-30 01:00", "2025-03-30 01:30"}},
        {"*/30 2 * * *", &in_berlin, "2025-03-29 12:00", {"2025-03-30 01:00", "2025-03-31 00:00"}},
        {"0 */2 * * *", &in_berlin, "2025-03-29 23:00", {"2025-03-30 02:00"}}, // 00:00, 04:00
        // Autumn in Berlin: 03:00 becomes 02:00 at 01:00 UTC.
        {"30 2 * * *", &in_berlin, "2025-10-25 12:00", {"2025-10-26 00:30", "2025-10-27 01:30"}},
        {"30 2 * * *", &in_berlin, "2025-10-26 00:45", {"2025-10-27 01:30"}},
        {"30 2 * * *", &in_berlin, "2025-10-26 01:15", {"2025-10-27 01:30"}},
        {"0 2,3 * * *", &in_berlin, "2025-10-25 12:00", {"2025-10-26 00:00", "2025-10-26 02:00"}},
        {"0 * * * *",
         &in_berlin,
         "2025-10-25 23:00",
         {"2025-10-26 00:00", "2025-10-26 01:00", "2025-10-26 02:00"}},
        {"*/30 2 * * *",
         &in_berlin,
         "2025-10-25 12:00",
         {"2025-10-26 00:00", "2025-10-26 00:30", "2025-10-26 01:00", "2025-10-26 01:30",
          "2025-10-27 01:00"}},
        // The second half past eleven comes after the next day has begun once, at 02:30 UTC.
        {"*/30 23 1 11 *", &in_st_johns, "2025-11-02 02:30", {"2025-11-02 03:00"}},
        // New York: gap 07:00 UTC on 9 March, repeated hour from 06:00 UTC on 2 November.
        {"15 2 * * *", &in_new_york, "2025-03-08 12:00", {"2025-03-09 07:00", "2025-03-10 06:15"}},
        {"15 1 * * *", &in_new_york, "2025-11-01 12:00", {"2025-11-02 05:15", "2025-11-03 06:15"}},
        {"15 * * * *",
         &in_new_york,
         "2025-11-02 05:00",
         {"2025-11-02 05:15", "2025-11-02 06:15", "2025-11-02 07:15"}},
    };
    for (const Case &one : cases) {
        SCOPED_TRACE(std::string(one.schedule) + " after " + one.after);
        const Schedule schedule = parse_schedule(one.schedule);
        std::optional<Timestamp> at = utc(one.after);
        for (const char *expected : one.next) {
            at = next_run(schedule, *at, *one.zone);
            ASSERT_EQ(text_of(at), expected);
        }
    }
}

TEST(NextRun, IsLaterThanAPartOfASecond)
{
    const ZoneOfChanges zone = fixed(0);
    const Timestamp noon = utc("2025-01-01 12:00");
    const Schedule schedule = parse_schedule("0 12 * * *");
    EXPECT_EQ(text_of(next_run(schedule, {noon.microseconds - 1}, zone)), "2025-01-01 12:00");
    EXPECT_EQ(text_of(next_run(schedule, noon, zone)), "2025-01-02 12:00");
    EXPECT_EQ(text_of(next_run(schedule, {noon.microseconds + 1}, zone)), "2025-01-02 12:00");
}

TEST(NextRun, EndsWhereverItStarts)
{
    const ZoneOfChanges zone = berlin();
    Schedule impossible = parse_schedule("0 0 29 2 *");
    impossible.days_of_month = 1u << 30;
    for (const Schedule &schedule : {impossible, Schedule{}})
        EXPECT_EQ(next_run(schedule, utc("2025-01-01 00:00"), zone), std::nullopt);
    for (const char *text : {"* * * * *", "0 0 29 2 *", "30 seconds"}) {
        EXPECT_EQ(next_run(parse_schedule(text), {INT64_MAX}, zone), std::nullopt) << text;
        EXPECT_EQ(next_run(parse_schedule(text), {INT64_MAX - 1}, zone), std::nullopt) << text;
        EXPECT_EQ(next_run(parse_schedule(text), utc("9990-01-02 00:00"), zone), std::nullopt) << text;
        EXPECT_NE(next_run(parse_schedule(text), {INT64_MIN}, zone), std::nullopt) << text;
    }
    EXPECT_EQ(text_of(next_run(parse_schedule("0 0 29 2 *"), utc("9989-12-31 00:00"), zone)),
              "9992-02-28 23:00");
    EXPECT_EQ(text_of(latest_run(parse_schedule("@daily"), {INT64_MIN}, utc("2025-01-01 00:00"), zone)),
              "2024-12-31 23:00");
}

TEST(NextRun, AsksTheZoneSeldom)
{
    const ZoneOfChanges zone = berlin();
    for (const char *text : {"* * * * *", "0 3 * * *", "0 3 1 1 *", "0 3 29 2 */7"}) {
        zone.lookups = 0;
        ASSERT_TRUE(next_run(parse_schedule(text), utc("2088-03-01 12:00"), zone));
        EXPECT_LT(zone.lookups, 100) << text;
    }
}

// A field of random values, as text and as a set.
struct RandomField {
    std::string text;
    std::set<int> values;
    bool wildcard = false;
};

RandomField random_field(std::mt19937 &random, int lowest, int highest)
{
    RandomField field;
    const auto below = [&random](int limit) {
        return static_cast<int>(random() % static_cast<unsigned>(limit));
    };
    const int kind = below(4);
    if (kind <= 1) {
        const int step = kind == 0 ? 1 : 1 + below(highest / 2);
        field.wildcard = true;
        field.text = kind == 0 ? "*" : "*/" + std::to_string(step);
        for (int value = lowest; value <= highest; value += step)
            field.values.insert(value);
        return field;
    }
    for (int count = 1 + below(3); count > 0; --count) {
        const int value = lowest + below(highest - lowest + 1);
        field.text += (field.text.empty() ? "" : ",") + std::to_string(value);
        field.values.insert(value);
    }
    return field;
}

TEST(NextRun, AgreesWithEachMinuteAroundChanges)
{
    const ZoneOfChanges zones[] = {berlin(),    new_york(),  midnight_changes(), minute_past_midnight(),
                                   half_hour(), whole_days()};
    const char *around[][2] = {{"2025-03-30", "2025-10-26"}, {"2025-03-09", "2025-11-02"},
                               {"2025-02-16", "2025-10-19"}, {"2025-03-09", "2025-11-02"},
                               {"2025-03-02", "2025-10-04"}, {"2025-03-30", "2025-10-10"}};
    std::mt19937 random(20250330);
    for (int round = 0; round < 100; ++round) {
        const size_t which = random() % std::size(zones);
        const TimeZone &zone = zones[which];
        const RandomField minute = random_field(random, 0, 59), hour = random_field(random, 0, 23);
        // Mostly each day, so that the days of change are among them.
        RandomField day{"*", {}, true}, weekdays{"*", {}, true};
        if (random() % 3 == 0)
            day = random_field(random, 1, 31);
        if (random() % 3 == 0)
            weekdays = random_field(random, 0, 6);
        const auto has = [](const RandomField &field, int value) {
            return field.text == "*" || field.values.count(value) > 0;
        };
        const Matches matches = [&](const Local &local) {
            const bool by_day = has(day, local.day), by_week = has(weekdays, local.weekday);
            const bool both = day.wildcard || weekdays.wildcard;
            return has(minute, local.minute) && has(hour, local.hour) &&
                   (both ? by_day && by_week : by_day || by_week);
        };
        const std::string text = minute.text + " " + hour.text + " " + day.text + " * " + weekdays.text;
        const Schedule schedule = parse_schedule(text);
        for (const char *date : around[which]) {
            SCOPED_TRACE(text + " in zone " + std::to_string(which) + " around " + date);
            const Timestamp middle = utc(std::string(date) + " 00:00");
            const Timestamp from{middle.microseconds - 3 * day_seconds * million};
            const Timestamp until{middle.microseconds + 4 * day_seconds * million};
            const auto expected =
                minute_by_minute(zone, from, until, matches, minute.wildcard, hour.wildcard);
            const auto runs = all_runs(schedule, zone, from, until);
            ASSERT_NO_FATAL_FAILURE(expect_same(runs, expected));
            // From anywhere, forwards and backwards.
            for (int sample = 0; sample < 5; ++sample) {
                const Timestamp at{from.microseconds + static_cast<int64_t>(random() % 604800) * million +
                                   sample};
                const auto next = std::upper_bound(expected.begin(), expected.end(), at);
                if (next != expected.end()) {
                    ASSERT_EQ(text_of(next_run(schedule, at, zone)), text_of(*next))
                        << "after " << text_of(at);
                }
                ASSERT_EQ(text_of(latest_run(schedule, from, at, zone)),
                          next == expected.begin() ? "never" : text_of(*std::prev(next)))
                    << "until " << text_of(at);
            }
        }
    }
}

// A year of a scheduler that sleeps until it is told to wake, a little late each time.
std::vector<std::vector<Timestamp>> simulated(std::vector<Job> &jobs, Timestamp begin, Timestamp end)
{
    constexpr Interval run_takes{40 * million};
    std::vector<std::vector<Timestamp>> runs(jobs.size());
    std::mt19937 random(2025);
    for (Timestamp now = begin; now <= end;) {
        for (Job &job : jobs)
            if (job.running_since && *job.running_since + run_takes <= now) {
                job.running_since.reset();
                job.last_finished = job.last_succeeded = now;
                job.last_outcome = RunOutcome::succeeded;
            }
        const Due due = decide_due(jobs, now, {static_cast<int>(jobs.size())});
        EXPECT_TRUE(due.problems.empty() && due.passed_over.empty() && due.waiting == 0);
        for (const Launch &launch : due.launch) {
            Job &job = jobs[static_cast<size_t>(launch.job)];
            EXPECT_FALSE(job.running_since);
            EXPECT_EQ(launch.reason, LaunchReason::scheduled);
            EXPECT_LT((now - launch.scheduled_for).seconds(), 1) << text_of(now);
            job.running_since = now;
            job.last_scheduled_run = launch.scheduled_for;
            runs[static_cast<size_t>(launch.job)].push_back(launch.scheduled_for);
        }
        std::optional<Timestamp> wake = due.wake_at;
        for (const Job &job : jobs)
            if (job.running_since && (!wake || *job.running_since + run_takes < *wake))
                wake = *job.running_since + run_takes;
        if (!wake || *wake <= now) {
            ADD_FAILURE() << "asleep for ever at " << text_of(now);
            break;
        }
        now = *wake + Interval{static_cast<int64_t>(random() % 900'000)};
    }
    return runs;
}

TEST(NextRun, AYearOfTheScheduler)
{
    struct Case {
        const char *schedule;
        Matches matches;
        bool any_minute, any_hour;
        int runs;
    };
    const Case cases[] = {
        {"30 2 * * *", [](const Local &at) { return at.hour == 2 && at.minute == 30; }, false, false, 365},
        {"15 1 * * *", [](const Local &at) { return at.hour == 1 && at.minute == 15; }, false, false, 365},
        {"0 * * * *", [](const Local &at) { return at.minute == 0; }, false, true, 8760},
        {"*/15 * * * *", [](const Local &at) { return at.minute % 15 == 0; }, true, true, 35040},
        {"5 4 1 * *", [](const Local &at) { return at.day == 1 && at.hour == 4 && at.minute == 5; }, false,
         false, 12},
        {"45 2 * * sun", [](const Local &at) { return at.weekday == 0 && at.hour == 2 && at.minute == 45; },
         false, false, 52},
        {"20 3 * * 1-5",
         [](const Local &at) {
             return at.weekday >= 1 && at.weekday <= 5 && at.hour == 3 && at.minute == 20;
         },
         false, false, 261},
    };
    const ZoneOfChanges zones[] = {berlin(), new_york(), half_hour()};
    const char *const names[] = {"Berlin", "New York", "a zone of half an hour"};
    for (size_t which = 0; which < std::size(zones); ++which) {
        const ZoneOfChanges &zone = zones[which];
        const int winter = zone.utc_offset_seconds(utc("2025-01-01 00:00"));
        const Timestamp begin{utc("2025-01-01 00:00").microseconds - winter * million - 1};
        const Timestamp end{begin.microseconds + 365 * day_seconds * million};
        std::vector<Job> jobs;
        for (const Case &one : cases) {
            Job job;
            job.id = static_cast<int64_t>(jobs.size());
            job.trigger = parse_schedule(one.schedule);
            job.zone = &zone;
            job.since = begin;
            jobs.push_back(job);
        }
        const auto runs = simulated(jobs, begin, end);
        for (size_t at = 0; at < std::size(cases); ++at) {
            const Case &one = cases[at];
            SCOPED_TRACE(std::string(one.schedule) + " in " + names[which]);
            std::vector<Timestamp> expected =
                minute_by_minute(zone, {begin.microseconds + 1 - 60 * million}, end, one.matches,
                                 one.any_minute, one.any_hour);
            expect_same(runs[at], expected);
            const bool whole_hours = which < 2;
            if (whole_hours) {
                EXPECT_EQ(static_cast<int>(runs[at].size()), one.runs);
            }
            for (size_t run = 1; one.any_hour && (whole_hours || one.any_minute) && run < runs[at].size();
                 ++run)
                ASSERT_EQ((runs[at][run] - runs[at][run - 1]).seconds(), one.any_minute ? 900 : 3600);
        }
    }
}

} // namespace
