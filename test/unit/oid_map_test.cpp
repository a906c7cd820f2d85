// The flat table from OIDs to positions.
#include <gtest/gtest.h>

#include "observed/oid_map.hpp"

namespace {

using opsrunbook::observed::OidMap;

TEST(OidMap, FindsWhatWasPutIn)
{
    OidMap map;
    EXPECT_EQ(map.find(1), map.end());
    EXPECT_FALSE(map.contains(0));
    for (uint32_t i = 0; i < 10000; ++i)
        map.emplace(16384 + i * 3, i);
    EXPECT_EQ(map.size(), 10000u);
    for (uint32_t i = 0; i < 10000; ++i) {
        ASSERT_NE(map.find(16384 + i * 3), map.end()) << i;
        EXPECT_EQ(map.find(16384 + i * 3)->second, i);
        EXPECT_FALSE(map.contains(16385 + i * 3));
    }
}

TEST(OidMap, KeepsWhatItHasWhenItGrows)
{
    OidMap map;
    map[5] = 50;
    map.reserve(100000);
    map[4294967295u] = 7;
    EXPECT_EQ(map.find(5)->second, 50u);
    EXPECT_EQ(map.find(4294967295u)->second, 7u);
    map[5] = 51;
    EXPECT_EQ(map.find(5)->second, 51u);
    EXPECT_EQ(map.size(), 2u);
}

TEST(OidMap, ObjectZeroIsNoObject)
{
    OidMap map;
    map.emplace(0, 9);
    EXPECT_EQ(map.size(), 0u);
    map.emplace(1, 1);
    EXPECT_FALSE(map.contains(0));
}

// Two runs of OIDs at a distance that is a power of two, as after a restore beside older objects.
TEST(OidMap, DenseRunsDoNotPileUp)
{
    OidMap map;
    for (uint32_t i = 0; i < 200000; ++i) {
        map.emplace(16384 + i, i);
        map.emplace(16384 + (1u << 24) + i, i);
    }
    EXPECT_EQ(map.size(), 400000u);
    for (uint32_t i = 0; i < 200000; i += 7)
        EXPECT_EQ(map.find(16384 + (1u << 24) + i)->second, i);
}

} // namespace
