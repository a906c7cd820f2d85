#include <gtest/gtest.h>

#include "health/check.hpp"

#include "base/no_server_headers.hpp"

namespace {

using namespace opsrunbook::health;

Outcome database_size_of(std::optional<int64_t> bytes)
{
    Observations seen;
    seen.server.database_bytes = bytes;
    return evaluate(seen, Thresholds(), {"database_size"}).at(0);
}

constexpr int64_t gigabyte = int64_t{1} << 30;

TEST(DatabaseSize, Thresholds)
{
    EXPECT_EQ(database_size_of(0).status, Status::ok);
    EXPECT_EQ(database_size_of(5 * gigabyte).status, Status::ok);
    EXPECT_EQ(database_size_of(5 * gigabyte + gigabyte / 10).status, Status::warning);
    EXPECT_EQ(database_size_of(11 * gigabyte).status, Status::critical);
}

TEST(DatabaseSize, UnknownIsNotHealthy)
{
    EXPECT_EQ(database_size_of(std::nullopt).status, Status::unknown);
}

} // namespace
