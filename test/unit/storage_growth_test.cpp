#include <gtest/gtest.h>

#include "health/storage/growth.hpp"

#include "base/no_server_headers.hpp"

namespace {

using namespace opsrunbook;
using health::Growth;
using health::growth_of;

constexpr int64_t a_day = 86400ll * 1000000;
constexpr base::Timestamp now = {1000 * a_day};

health::RecordedSize days_ago(double days, int64_t bytes)
{
    return {base::Timestamp{now.microseconds - static_cast<int64_t>(days * static_cast<double>(a_day))},
            bytes};
}

TEST(Growth, NothingRecordedIsNotNoGrowth)
{
    const Growth growth = growth_of({}, 100, now);
    EXPECT_FALSE(growth.bytes_per_day.has_value());
    EXPECT_NE(growth.note.find("record_storage_sizes"), std::string::npos);
    EXPECT_FALSE(growth_of({days_ago(31, 0)}, 100, now).bytes_per_day.has_value());
}

TEST(Growth, HoursSayNothingOfDays)
{
    EXPECT_FALSE(growth_of({days_ago(0.4, 0)}, 100, now).bytes_per_day.has_value());
    EXPECT_TRUE(growth_of({days_ago(0.6, 0)}, 100, now).bytes_per_day.has_value());
}

TEST(Growth, FromTheOldestOfThirtyDays)
{
    EXPECT_DOUBLE_EQ(
        *growth_of({days_ago(10, 1000), days_ago(5, 1900), days_ago(40, 0)}, 2000, now).bytes_per_day, 100);
    EXPECT_DOUBLE_EQ(*growth_of({days_ago(2, 1000)}, 500, now).bytes_per_day, -250); // it shrank
}

TEST(Growth, AClockSetBackIsNoFuture)
{
    EXPECT_FALSE(growth_of({days_ago(-1, 0)}, 100, now).bytes_per_day.has_value());
}

} // namespace
