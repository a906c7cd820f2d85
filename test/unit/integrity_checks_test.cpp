#include "checks_fixture.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook;
using namespace opsrunbook::test;

namespace {

TEST(ChecksumFailures, OneIsLethal)
{
    Observations seen = healthy();
    seen.server.databases.front().checksum_failures = 0;
    EXPECT_EQ(status("checksum_failures", seen), Status::ok);
    seen.server.databases.front().checksum_failures = 1;
    EXPECT_EQ(status("checksum_failures", seen), Status::critical);
    EXPECT_TRUE(worst("checksum_failures", seen).lethal);
}

TEST(ChecksumFailures, SharedCatalogsCount)
{
    Observations seen = healthy();
    seen.server.shared_checksum_failures = 2; // datid 0
    EXPECT_EQ(worst("checksum_failures", seen).object, "shared relations");
}

TEST(ChecksumFailures, OffIsSaidButNoAlarm)
{
    Observations seen = healthy();
    set(seen, "data_checksums", "off");
    const Outcome outcome = run("checksum_failures", seen);
    EXPECT_EQ(outcome.status, Status::ok);
    EXPECT_FALSE(outcome.scored);
    EXPECT_NE(outcome.checked.find("checksums are off"), std::string::npos);
    EXPECT_NE(outcome.checked.find("pg_checksums --enable"), std::string::npos);
    EXPECT_TRUE(run("checksum_failures", healthy()).scored);
}

TEST(CollationVersion, Databases)
{
    Observations seen = healthy();
    observed::Database &database = seen.server.databases.front();
    EXPECT_EQ(status("collation_version", seen), Status::ok); // C has no version
    database.name = "My App";
    database.collation_version = "2.31";
    database.actual_collation_version = "2.31";
    EXPECT_EQ(status("collation_version", seen), Status::ok);
    database.actual_collation_version = "2.36";
    const Finding finding = worst("collation_version", seen);
    EXPECT_EQ(finding.status, Status::warning);
    EXPECT_EQ(finding.fix,
              "REINDEX DATABASE \"My App\"; ALTER DATABASE \"My App\" REFRESH COLLATION VERSION;");
    database.current = false;
    EXPECT_EQ(worst("collation_version", seen).fix.substr(0, 2), "--");
}

TEST(CollationVersion, CollationsOfIndexes)
{
    Observations seen = healthy();
    seen.server.outdated_collations = {{"public.german", "153.14", "153.120"}};
    seen.server.databases.front().name = "My App";
    const Finding finding = worst("collation_version", seen);
    EXPECT_EQ(finding.object, "collation public.german");
    EXPECT_EQ(finding.fix, "REINDEX DATABASE \"My App\"; ALTER COLLATION public.german REFRESH VERSION;");
}

TEST(InvalidDatabases, HalfDropped)
{
    Observations seen = healthy();
    EXPECT_EQ(status("invalid_databases", seen), Status::ok);
    observed::Database half;
    half.name = "Half";
    half.invalid = true;
    seen.server.databases.push_back(half);
    EXPECT_EQ(worst("invalid_databases", seen).fix, "DROP DATABASE \"Half\";");
}

TEST(Space, Disk)
{
    constexpr int64_t gigabyte = int64_t{1} << 30;
    Observations seen = healthy();
    EXPECT_EQ(status("disk_space", seen), Status::ok);
    const auto with_free = [&seen](int64_t free_gb, int64_t total_gb) {
        seen.server.volumes = {{"data directory, pg_wal", "/data", total_gb * gigabyte, free_gb * gigabyte}};
        return status("disk_space", seen);
    };
    EXPECT_EQ(with_free(15, 100), Status::ok);
    EXPECT_EQ(with_free(14, 100), Status::warning);
    EXPECT_EQ(with_free(4, 100), Status::critical);
    EXPECT_FALSE(worst("disk_space", seen).lethal);
    EXPECT_EQ(with_free(1, 100), Status::critical);
    EXPECT_TRUE(worst("disk_space", seen).lethal);
    EXPECT_NE(worst("disk_space", seen).fix.find("get_storage_usage_stats"), std::string::npos);
    seen.server.volumes.front().holds = "pg_wal";
    EXPECT_NE(worst("disk_space", seen).fix.find("'wal_directory'"), std::string::npos);
    EXPECT_EQ(with_free(60, 100), Status::ok);    // clears
    EXPECT_EQ(with_free(300, 10000), Status::ok); // 3 % of 10 TB
    seen.server.unseen["disk space of tablespace x"] = "/x: No such file or directory";
    EXPECT_EQ(status("disk_space", seen), Status::unknown);
}

TEST(Space, NotifyQueue)
{
    Observations seen = healthy();
    seen.server.notify_queue_pct = 50;
    EXPECT_EQ(status("notify_queue", seen), Status::ok);
    seen.server.notify_queue_pct = 51;
    EXPECT_EQ(status("notify_queue", seen), Status::warning);
    seen.server.notify_queue_pct = 76;
    EXPECT_EQ(status("notify_queue", seen), Status::critical);
    observed::Session session; // in a transaction for long, and perhaps not the one
    session.kind = "client backend";
    session.pid = 4711;
    session.transaction_seconds = 3600;
    seen.server.sessions = {session};
    EXPECT_EQ(worst("notify_queue", seen).fix.substr(0, 3), "-- ");
    seen.server.notify_queue_pct.reset(); // a standby
    EXPECT_EQ(status("notify_queue", seen), Status::ok);
}

TEST(Space, MultixactMembers)
{
    Observations seen = healthy();
    seen.server.multixact_member_bytes = int64_t{10} << 30; // of 20 GB: just below half
    EXPECT_EQ(status("multixact_members", seen), Status::ok);
    seen.server.multixact_member_bytes = int64_t{11} << 30;
    EXPECT_EQ(status("multixact_members", seen), Status::warning);
    seen.server.multixact_member_bytes = int64_t{16} << 30;
    EXPECT_EQ(status("multixact_members", seen), Status::critical);
    seen.server.multixact_member_bytes = 262144; // clears when VACUUM let go of them
    EXPECT_EQ(status("multixact_members", seen), Status::ok);
    seen.server.multixact_member_bytes.reset();
    EXPECT_EQ(status("multixact_members", seen), Status::unknown);
}

TEST(Verification, NothingIsKnownBeforeTheFirst)
{
    EXPECT_FALSE(run("verification_failed", healthy()).scored);
    EXPECT_FALSE(run("amcheck_age", healthy()).scored);
}

TEST(Verification, Damage)
{
    Observations seen = healthy();
    seen.verification.tables = 3;
    seen.verification.oldest_days = 1;
    EXPECT_EQ(status("verification_failed", seen), Status::ok);
    seen.verification.damaged = {
        {"public.orders", false, "public.orders_at: item order invariant violated", {42}}};
    const Finding index = worst("verification_failed", seen);
    EXPECT_EQ(index.status, Status::critical);
    EXPECT_TRUE(index.lethal);
    EXPECT_EQ(index.since, base::Timestamp{42});
    EXPECT_EQ(index.fix, "REINDEX TABLE CONCURRENTLY public.orders; "
                         "SELECT * FROM opsrunbook.verify_table('public.orders');");
    seen.verification.damaged[0].heap = true; // rebuilding an index from damaged rows would hide the loss
    EXPECT_TRUE(worst("verification_failed", seen).fix.starts_with("-- "));
}

TEST(Verification, ByTheTableThatWaitsLongest)
{
    Observations seen = healthy();
    seen.verification.tables = 3;
    seen.verification.oldest = "public.orders";
    for (const auto &[days, expected] :
         {std::pair{1.0, Status::ok}, {14.0, Status::ok}, {14.1, Status::warning}}) {
        seen.verification.oldest_days = days;
        EXPECT_EQ(status("amcheck_age", seen), expected) << days;
    }
    EXPECT_EQ(worst("amcheck_age", seen).message,
              "of 3 tables that were verified once, public.orders was so last 14 d 2 h ago");
}

} // namespace
