#include "base/cron.hpp"

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "base/error.hpp"

using opsrunbook::base::Error;
using opsrunbook::base::ErrorKind;
using opsrunbook::base::parse_schedule;
using opsrunbook::base::Schedule;

namespace {

uint64_t bits(std::initializer_list<int> values)
{
    uint64_t out = 0;
    for (const int value : values)
        out |= uint64_t(1) << value;
    return out;
}

uint64_t range(int first, int last)
{
    uint64_t out = 0;
    for (int value = first; value <= last; ++value)
        out |= uint64_t(1) << value;
    return out;
}

struct Invalid {
    const char *text;
    const char *message;
    const char *detail; // a part of it
};

constexpr Invalid invalid[] = {
    // Not the shape of a schedule.
    {"", "invalid schedule", "it is empty"},
    {"  \t ", "invalid schedule", "it is empty"},
    {"*", "invalid schedule", "1 field where five belong"},
    {"* * * *", "invalid schedule", "4 fields where five belong"},
    {"* * * * * *", "invalid schedule", "6 fields where five belong"},
    {"every day", "invalid schedule", "\"every day\""},
    {"30", "invalid schedule", "\"30\""},
    {"@reboot", "invalid schedule", "no such nickname"},
    {"@", "invalid schedule", "no such nickname"},
    {"@daily 5", "invalid schedule", "no such nickname"},
    // Seconds.
    {"0 seconds", "invalid seconds in schedule", "between 1 and 59"},
    {"60 seconds", "invalid seconds in schedule", "\"60 seconds\""},
    {"99999999999999999999s", "invalid seconds in schedule", "between 1 and 59"},
    {"-5 seconds", "invalid schedule", "2 fields"},
    {"1.5 seconds", "invalid schedule", "2 fields"},
    {"10 minutes", "invalid schedule", "2 fields"},
    {"10 s s", "invalid schedule", "3 fields"},
    {"10s onds", "invalid schedule", "2 fields"},
    {"s", "invalid schedule", "1 field"},
    // Values.
    {"60 * * * *", "invalid minute in schedule", "60 is not between 0 and 59"},
    {"-1 * * * *", "invalid minute in schedule", "a value is missing"},
    {"+1 * * * *", "invalid minute in schedule", "\"+1\" is not a minute"},
    {"1x * * * *", "invalid minute in schedule", "\"1x\" is not a minute"},
    {"0x1 * * * *", "invalid minute in schedule", "\"0x1\""},
    {"1.5 * * * *", "invalid minute in schedule", "\"1.5\""},
    {"99999999999999999999 * * * *", "invalid minute in schedule", "is not a minute"},
    {"0 24 * * *", "invalid hour in schedule", "24 is not between 0 and 23"},
    {"0 0 0 * *", "invalid day of month in schedule", "0 is not between 1 and 31"},
    {"0 0 32 * *", "invalid day of month in schedule", "32 is not between 1 and 31"},
    {"0 0 * 0 *", "invalid month in schedule", "0 is not between 1 and 12"},
    {"0 0 * 13 *", "invalid month in schedule", "13 is not between 1 and 12"},
    {"0 0 * janu *", "invalid month in schedule", "\"janu\" is not a month"},
    {"0 0 * mon *", "invalid month in schedule", "\"mon\" is not a month"},
    {"0 0 * * 8", "invalid day of week in schedule", "8 is not between 0 and 7"},
    {"0 0 * * jan", "invalid day of week in schedule", "\"jan\" is not a day of week"},
    {"0 0 * * onm", "invalid day of week in schedule", "\"onm\" is not a day of week"},
    {"jan * * * *", "invalid minute in schedule", "\"jan\" is not a minute"},
    {"0 0 L * *", "invalid day of month in schedule", "\"L\""},
    {"0 0 ? * 1", "invalid day of month in schedule", "\"?\""},
    {"0 0 * * 1#2", "invalid day of week in schedule", "\"1#2\""},
    // Lists, ranges, steps.
    {", * * * *", "invalid minute in schedule", "a value is missing"},
    {"1, * * * *", "invalid minute in schedule", "a value is missing"},
    {"1,,2 * * * *", "invalid minute in schedule", "a value is missing"},
    {"5-1 * * * *", "invalid minute in schedule", "\"5-1\" ends before it begins"},
    {"0 22-2 * * *", "invalid hour in schedule", "\"22-2\" ends before it begins"},
    {"0 0 * * sat-mon", "invalid day of week in schedule", "\"sat-mon\" ends before it begins"},
    {"1- * * * *", "invalid minute in schedule", "a value is missing"},
    {"1-2-3 * * * *", "invalid minute in schedule", "\"2-3\" is not a minute"},
    {"*-5 * * * *", "invalid minute in schedule", "\"*\" is not a minute"},
    {"** * * * *", "invalid minute in schedule", "\"**\" is not a minute"},
    {"*5 * * * *", "invalid minute in schedule", "\"*5\" is not a minute"},
    {"*/0 * * * *", "invalid minute in schedule", "between 1 and 59"},
    {"*/ * * * *", "invalid minute in schedule", "between 1 and 59"},
    {"*/-5 * * * *", "invalid minute in schedule", "between 1 and 59"},
    {"*/5/5 * * * *", "invalid minute in schedule", "between 1 and 59"},
    {"*/90 * * * *", "invalid minute in schedule", "between 1 and 59"},
    {"0 */24 * * *", "invalid hour in schedule", "between 1 and 23"},
    {"/5 * * * *", "invalid minute in schedule", "a value is missing"},
    {"5/15 * * * *", "invalid minute in schedule", "a step needs"},
    // Dates that no year has.
    {"0 0 30 2 *", "invalid day of month in schedule", "\"30 2\": no year has such a day"},
    {"0 0 31 2,4,jun,9,11 *", "invalid day of month in schedule", "no year has such a day"},
    {"0 0 30 2 */2", "invalid day of month in schedule", "no year has such a day"},
};

TEST(Cron, RefusesWhatIsNoSchedule)
{
    for (const Invalid &one : invalid) {
        SCOPED_TRACE(one.text);
        try {
            parse_schedule(one.text);
            ADD_FAILURE() << "accepted";
        }
        catch (const Error &error) {
            EXPECT_EQ(error.kind, ErrorKind::invalid_input);
            EXPECT_EQ(error.message, one.message);
            EXPECT_NE(error.detail.find(one.detail), std::string::npos) << error.detail;
            EXPECT_NE(error.hint.find("for example"), std::string::npos) << error.hint;
        }
    }
}

TEST(Cron, RefusalsStayShort)
{
    try {
        parse_schedule(std::string(1'000'000, 'x') + " * * * *");
        ADD_FAILURE() << "accepted";
    }
    catch (const Error &error) {
        EXPECT_LT(error.detail.size(), 400u);
    }
    EXPECT_THROW(parse_schedule(std::string("0\0 * * * *", 10)), Error);
    EXPECT_THROW(parse_schedule("\xff\xfe * * * *"), Error);
}

TEST(Cron, FieldsBecomeSets)
{
    struct Case {
        const char *text;
        uint64_t minutes, hours, days_of_month, months, days_of_week;
    };
    const uint64_t minutes = range(0, 59), hours = range(0, 23), days = range(1, 31), months = range(1, 12),
                   week = range(0, 6);
    const Case cases[] = {
        {"* * * * *", minutes, hours, days, months, week},
        {"  5\t4 3\n2   1 ", bits({5}), bits({4}), bits({3}), bits({2}), bits({1})},
        {"*/15 * * * *", bits({0, 15, 30, 45}), hours, days, months, week},
        {"*/59 */23 */31 */12 */7", bits({0, 59}), bits({0, 23}), bits({1}), bits({1}), bits({0})},
        {"1-10/3 * * * *", bits({1, 4, 7, 10}), hours, days, months, week},
        {"1-30/2,59,0 * * * *", bits({0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 59}), hours,
         days, months, week},
        {"0 22-23,0-2 * * *", bits({0}), bits({22, 23, 0, 1, 2}), days, months, week},
        {"007 08 09 * *", bits({7}), bits({8}), bits({9}), months, week},
        {"0 0 1 jan,MAR-May,Dec *", bits({0}), bits({0}), bits({1}), bits({1, 3, 4, 5, 12}), week},
        {"0 0 * * 7", bits({0}), bits({0}), days, months, bits({0})},
        {"0 0 * * 0", bits({0}), bits({0}), days, months, bits({0})},
        {"0 0 * * 5-7", bits({0}), bits({0}), days, months, bits({5, 6, 0})},
        {"0 0 * * Fri-SUN", bits({0}), bits({0}), days, months, bits({5, 6, 0})},
        {"0 0 * * sun-tue", bits({0}), bits({0}), days, months, bits({0, 1, 2})},
        {"0 0 * * 0-7", bits({0}), bits({0}), days, months, week},
        {"0 0 * * 1-7/2", bits({0}), bits({0}), days, months, bits({1, 3, 5, 0})},
        {"0 0 * * mon-fri", bits({0}), bits({0}), days, months, range(1, 5)},
        {"0 0 29 2 *", bits({0}), bits({0}), bits({29}), bits({2}), week},
        {"0 0 30 2 1", bits({0}), bits({0}), bits({30}), bits({2}), bits({1})}, // Mondays in February
    };
    for (const Case &one : cases) {
        SCOPED_TRACE(one.text);
        const Schedule schedule = parse_schedule(one.text);
        EXPECT_EQ(schedule.every_seconds, 0);
        EXPECT_EQ(schedule.minutes, one.minutes);
        EXPECT_EQ(schedule.hours, one.hours);
        EXPECT_EQ(schedule.days_of_month, one.days_of_month);
        EXPECT_EQ(schedule.months, one.months);
        EXPECT_EQ(schedule.days_of_week, one.days_of_week);
    }
}

TEST(Cron, WildcardsAreFieldsThatBeginWithAStar)
{
    const Schedule all = parse_schedule("* */2 *,1 * */3");
    EXPECT_TRUE(all.any_minute && all.any_hour && all.any_day_of_month && all.any_day_of_week);
    const Schedule none = parse_schedule("0-59 0-23 1-31 * 0-6");
    EXPECT_FALSE(none.any_minute || none.any_hour || none.any_day_of_month || none.any_day_of_week);
}

TEST(Cron, NicknamesAreFields)
{
    const struct {
        const char *nickname, *fields;
    } cases[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {" @midnight ", "0 0 * * *"},
                 {"@Weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                 {"@ANNUALLY", "0 0 1 1 *"}};
    for (const auto &one : cases)
        EXPECT_EQ(parse_schedule(one.nickname), parse_schedule(one.fields)) << one.nickname;
}

TEST(Cron, IntervalsOfSeconds)
{
    const struct {
        const char *text;
        int seconds;
    } cases[] = {{"1 second", 1}, {"30 seconds", 30}, {"10s", 10},        {"10 s", 10},
                 {" 59 S ", 59},  {"5Seconds", 5},    {"007 seconds", 7}, {"15\tSECONDS", 15}};
    for (const auto &one : cases)
        EXPECT_EQ(parse_schedule(one.text).every_seconds, one.seconds) << one.text;
}

TEST(Cron, EitherFieldOfDaysIsEnoughWhenBothAreRestricted)
{
    struct Case {
        const char *text;
        unsigned month, day, weekday;
        bool included;
    };
    const Case cases[] = {
        {"0 0 13 * 5", 6, 13, 1, true},    {"0 0 13 * 5", 6, 12, 5, true},   {"0 0 13 * 5", 6, 12, 4, false},
        {"0 0 13 7 5", 6, 13, 5, false},   {"0 0 13 * *", 6, 13, 1, true},   {"0 0 13 * *", 6, 12, 5, false},
        {"0 0 * * 5", 6, 13, 5, true},     {"0 0 * * 5", 6, 13, 1, false},   {"0 0 */2 * 5", 6, 13, 5, true},
        {"0 0 */2 * 5", 6, 13, 4, false},  {"0 0 */2 * 5", 6, 12, 5, false}, {"0 0 13 * */5", 6, 13, 5, true},
        {"0 0 13 * */5", 6, 13, 4, false}, {"0 0 1-31 * 5", 6, 13, 4, true},
    };
    for (const Case &one : cases)
        EXPECT_EQ(parse_schedule(one.text).includes_day(one.month, one.day, one.weekday), one.included)
            << one.text << " on " << one.month << "-" << one.day << ", day of week " << one.weekday;
}

} // namespace
