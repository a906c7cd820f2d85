// Counters since an earlier sample instead of since their reset.
#include <gtest/gtest.h>

#include "checks_fixture.hpp"
#include "observed/counters.hpp"

namespace opsrunbook {
namespace {

using observed::count_since;
using observed::counters_of;
using observed::CounterSample;
using test::healthy;
using test::Observations;
using test::run;
using test::Status;
using test::status;
using test::worst;

constexpr double hour = 3600, day = 86400;

// A server whose counters have run for a hundred days, at a moment given in seconds.
Observations running(double at, int64_t deadlocks)
{
    Observations seen = healthy();
    const base::Timestamp start = base::Timestamp{} + base::seconds(1000 * day);
    seen.server.now = start + base::seconds(100 * day + at);
    seen.server.databases[0].stats_reset = start;
    seen.server.databases[0].deadlocks = deadlocks;
    seen.server.checkpoints->since_reset_seconds = 100 * day + at;
    seen.server.wal->since_reset_seconds = 100 * day + at;
    seen.server.wal->bytes_since_reset = 0;
    return seen;
}

Observations since(Observations now, Observations then)
{
    count_since(now.server, counters_of(then.server));
    return now;
}

TEST(CountSince, YesterdaysDeadlocksAreOver)
{
    EXPECT_EQ(status("deadlocks", running(day, 10000)), Status::warning); // 99 a day on the average
    EXPECT_EQ(status("deadlocks", since(running(day, 10000), running(0, 10000))), Status::ok);
}

TEST(CountSince, TodaysAreNotDilutedByTheYear)
{
    EXPECT_EQ(status("deadlocks", running(day, 200)), Status::ok);
    const Observations today = since(running(day, 200), running(0, 0));
    EXPECT_EQ(status("deadlocks", today), Status::critical);
    EXPECT_EQ(worst("deadlocks", today).value, 200);
    EXPECT_EQ(worst("deadlocks", today).message, "200 deadlocks in the last 1 d, 200 a day");
}

// Two hours of checkpoints that WAL forced, after years of timed ones.
Observations storm(double at, int64_t requested, int64_t wal)
{
    Observations seen = running(at, 0);
    seen.server.checkpoints->timed = 100000;
    seen.server.checkpoints->requested = requested;
    seen.server.wal->bytes_since_reset = wal;
    return seen;
}

TEST(CountSince, AStormOfCheckpointsAfterQuietYears)
{
    constexpr int64_t wal = int64_t{40} << 30;
    EXPECT_EQ(status("checkpoints", storm(2 * hour, 40, wal)), Status::ok);
    EXPECT_EQ(status("checkpoints", since(storm(2 * hour, 40, wal), storm(0, 0, 0))), Status::critical);
}

TEST(CountSince, OtherCountersThanThoseOfTheSampleAreLeftAsTheyAre)
{
    Observations fewer = since(running(day, 499), running(0, 500));
    EXPECT_EQ(fewer.server.databases[0].deadlocks, 499);
    EXPECT_EQ(fewer.server.databases[0].sampled, std::nullopt);
    Observations reset = running(day, 500);
    reset.server.databases[0].stats_reset = reset.server.now + base::seconds(-hour);
    reset = since(std::move(reset), running(0, 500));
    EXPECT_EQ(reset.server.databases[0].deadlocks, 500);
    // Each group by itself.
    Observations wal_reset = running(day, 500);
    wal_reset.server.wal->since_reset_seconds = hour;
    wal_reset.server.wal->bytes_since_reset = 77;
    wal_reset = since(std::move(wal_reset), running(0, 500));
    EXPECT_EQ(wal_reset.server.wal->bytes_since_reset, 77);
    EXPECT_EQ(wal_reset.server.databases[0].deadlocks, 0);
    EXPECT_EQ(wal_reset.server.counted_seconds(wal_reset.server.databases[0]), day);
}

Observations writing_themselves(double at, int64_t fsyncs)
{
    Observations seen = running(at, 0);
    seen.server.checkpoints->backends_since_reset_seconds = 100 * day + at;
    seen.server.checkpoints->fsyncs_by_backends = fsyncs;
    return seen;
}

TEST(CountSince, FsyncsBySessionsHaveAWindowOfTheirOwn)
{
    EXPECT_EQ(status("backend_writes", writing_themselves(day, 2000)), Status::ok);
    const Observations today = since(writing_themselves(day, 2000), writing_themselves(0, 0));
    EXPECT_EQ(status("backend_writes", today), Status::warning);
}

Observations reading(double at, int64_t read, int64_t hit)
{
    Observations seen = running(at, 0);
    seen.server.databases[0].blocks_read = read;
    seen.server.databases[0].blocks_hit = hit;
    return seen;
}

TEST(CountSince, ACacheThatIsWarmStaysWarm)
{
    EXPECT_EQ(
        status("cache_hit_ratio", since(reading(day, 10060000, 990040000), reading(0, 10000000, 990000000))),
        Status::critical);
    const Observations idle = since(reading(day, 10000100, 990000100), reading(0, 10000000, 990000000));
    EXPECT_EQ(run("cache_hit_ratio", idle).checked,
              "only 200 blocks were asked for in the last 1 d: too few to tell");
}

// Of a server that uses 1,000 transaction ids a second.
Observations using_ids(double at, int64_t age)
{
    Observations seen = running(at, 0);
    seen.server.next_transaction_id = 5000000000 + static_cast<int64_t>(at * 1000);
    seen.server.databases[0].xid_age = age;
    seen.server.databases[0].frozen_transaction_id = *seen.server.next_transaction_id - age;
    return seen;
}

TEST(CountSince, FreezingThatDoesNotKeepUp)
{
    constexpr int64_t used = 86400000; // in a day
    const auto a_day_later = [](int64_t then, int64_t now) {
        return since(using_ids(day, now), using_ids(0, then));
    };
    EXPECT_EQ(status("xid_age", a_day_later(210000000, 210000000 + used)), Status::warning);
    const auto finding = worst("xid_age", a_day_later(210000000, 210000000 + used));
    EXPECT_NE(finding.message.find("frozen no further for 1 d"), std::string::npos) << finding.message;
    // 1,848 million ids are left.
    EXPECT_NE(finding.message.find("which is 21 d 9 h away"), std::string::npos) << finding.message;
    EXPECT_EQ(status("xid_age", a_day_later(210000000, 210000000)), Status::ok)
        << "frozen as fast as it ages";
    EXPECT_EQ(status("xid_age", a_day_later(100000000, 100000000 + used)), Status::ok) << "not due yet";
    EXPECT_EQ(status("xid_age", since(using_ids(2 * hour, 217200000), using_ids(0, 210000000))), Status::ok)
        << "two hours are too short to tell";
    EXPECT_EQ(status("xid_age", using_ids(day, 296400000)), Status::ok) << "no sample";
}

} // namespace
} // namespace opsrunbook
