#include "maintenance/retry.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook::maintenance;

TEST(Retry, BySqlstate)
{
    struct Case {
        const char *sqlstate;
        bool own_timeout, retry;
        const char *reason;
    };
    for (const Case &one : {
             Case{"55P03", false, true, "lock not available: attempt 2 of 5 in 10 s"},
             Case{"40P01", false, true, "deadlock: attempt 2 of 5 in 10 s"},
             Case{"40001", false, true, "serialization failure: attempt 2 of 5 in 10 s"},
             Case{"57014", true, true, "timeout: attempt 2 of 5 in 10 s"},
             Case{"57014", false, false, "canceled"},
             Case{"42P01", false, false, "SQLSTATE 42P01 does not pass by waiting"},
             Case{"42501", true, false, "SQLSTATE 42501 does not pass by waiting"},
             Case{"53100", false, false, "SQLSTATE 53100 does not pass by waiting"},
             Case{"XX001", false, false, "SQLSTATE XX001 does not pass by waiting"},
         }) {
        const RetryDecision decision = decide_retry({one.sqlstate, 1, one.own_timeout, 0}, {});
        EXPECT_EQ(decision.retry, one.retry) << one.sqlstate;
        EXPECT_EQ(decision.reason, one.reason);
        EXPECT_EQ(decision.delay_seconds, one.retry ? 10 : 0);
    }
}

TEST(Retry, DelaysGrowUpToTheLongest)
{
    const RetryPolicy policy{10, 10, 2, 100};
    const double delays[] = {10, 20, 40, 80, 100, 100, 100, 100, 100};
    for (int attempt = 1; attempt <= 9; ++attempt) {
        const RetryDecision decision = decide_retry({"55P03", attempt, false, 0}, policy);
        EXPECT_TRUE(decision.retry);
        EXPECT_DOUBLE_EQ(decision.delay_seconds, delays[attempt - 1]) << attempt;
    }
    const RetryDecision last = decide_retry({"55P03", 10, false, 0}, policy);
    EXPECT_FALSE(last.retry);
    EXPECT_EQ(last.reason, "lock not available: gave up after 10 of 10 attempts");
    EXPECT_FALSE(decide_retry({"55P03", 11, false, 0}, policy).retry);
}

TEST(Retry, JitterAddsAtMostAQuarter)
{
    EXPECT_DOUBLE_EQ(decide_retry({"55P03", 1, false, 0.5}, {}).delay_seconds, 11.25);
    EXPECT_DOUBLE_EQ(decide_retry({"55P03", 1, false, 1}, {}).delay_seconds, 12.5);
    EXPECT_DOUBLE_EQ(decide_retry({"55P03", 1, false, 7}, {}).delay_seconds, 12.5);
    EXPECT_DOUBLE_EQ(decide_retry({"55P03", 1, false, -7}, {}).delay_seconds, 10);
}

TEST(Retry, StrangePolicies)
{
    EXPECT_FALSE(decide_retry({"55P03", 1, false, 0}, {1, 10, 2, 600}).retry); // one attempt is no retry
    EXPECT_FALSE(decide_retry({"55P03", 1, false, 0}, {0, 10, 2, 600}).retry);
    EXPECT_DOUBLE_EQ(decide_retry({"55P03", 0, false, 0}, {}).delay_seconds, 10);
    EXPECT_DOUBLE_EQ(decide_retry({"55P03", 2000, false, 0}, {5000, 10, 2, 600}).delay_seconds,
                     600); // 2^1999
}
