#include <gtest/gtest.h>

#include <cstring>

#include "health/checks/checks.hpp"

using namespace opsrunbook;
using namespace opsrunbook::health;

namespace {

constexpr int64_t gb = 1ll << 30;

// One table (oid 10) with an index (oid 20).
Observations planted(observed::Bloat bloat)
{
    Observations seen;
    seen.relations.schemas.push_back({1, 1, "public", false, false});
    observed::Table table = {};
    table.relation.oid = 10;
    table.relation.schema = 1;
    table.relation.name = "Orders";
    seen.relations.tables.push_back(table);
    seen.relations.link_table(0);
    observed::Index index = {};
    index.relation.oid = 20;
    index.relation.schema = 1;
    index.relation.name = "orders_key";
    index.table = 10;
    seen.relations.indexes.push_back(index);
    seen.relations.link_index(0);
    bloat.relation = bloat.index ? 20 : 10;
    seen.bloat.push_back(bloat);
    return seen;
}

observed::Bloat bloat_of(bool index, double pct, int64_t bytes, double dead = 0, double reserved = 0)
{
    observed::Bloat bloat;
    bloat.index = index;
    bloat.pct = pct;
    bloat.dead_pct = dead;
    bloat.reserved_pct = reserved;
    bloat.bytes = bytes;
    bloat.method = "sample";
    return bloat;
}

Outcome run(const Observations &seen, const char *id)
{
    return evaluate(seen, Thresholds(), {id}).front();
}

TEST(BloatCheck, FiresOnDeadRows)
{
    const Outcome outcome = run(planted(bloat_of(false, 55, 4 * gb, 40)), "bloat");
    ASSERT_EQ(outcome.status, Status::critical);
    EXPECT_EQ(outcome.findings.front().object, "public.\"Orders\"");
    EXPECT_EQ(outcome.findings.front().fix, "VACUUM (ANALYZE) public.\"Orders\";");
    EXPECT_EQ(outcome.findings.front().value, 55);
    EXPECT_EQ(outcome.findings.front().threshold, 50);
    EXPECT_EQ(run(planted(bloat_of(false, 35, 4 * gb, 30)), "bloat").status, Status::warning);
}

TEST(BloatCheck, NearMisses)
{
    EXPECT_EQ(run(planted(bloat_of(false, 29, 100 * gb)), "bloat").status, Status::ok) << "share too small";
    EXPECT_EQ(run(planted(bloat_of(false, 80, gb)), "bloat").status, Status::ok) << "less than 1 GB wasted";
    EXPECT_EQ(run(planted(bloat_of(false, 55, 4 * gb, 0, 50)), "bloat").status, Status::ok) << "fillfactor's";
    EXPECT_EQ(run(planted(bloat_of(true, 80, 4 * gb)), "bloat").status, Status::ok) << "an index";
    EXPECT_EQ(run(Observations(), "bloat").status, Status::ok);
}

TEST(BloatCheck, AfterTheRemedy)
{
    EXPECT_EQ(run(planted(bloat_of(false, 5, 2 * gb)), "bloat").status, Status::ok) << "after VACUUM FULL";
    EXPECT_EQ(run(planted(bloat_of(true, 0, 2 * gb)), "index_bloat").status, Status::ok) << "after REINDEX";
}

TEST(BloatCheck, WithheldIsUnknownForTheObject)
{
    observed::Bloat locked = bloat_of(false, 0, 0);
    locked.unmeasured = "locked: another session holds or waits for an exclusive lock";
    Observations seen = planted(locked);
    seen.bloat.push_back(bloat_of(false, 60, 10 * gb));
    seen.bloat.back().relation = 10;
    const Outcome outcome = run(seen, "bloat");
    ASSERT_EQ(outcome.findings.size(), 2u);
    EXPECT_EQ(outcome.status, Status::critical);
    EXPECT_EQ(outcome.findings[1].status, Status::unknown);
    EXPECT_NE(outcome.findings[1].message.find("locked"), std::string::npos);
    EXPECT_EQ(run(planted(locked), "bloat").status, Status::unknown);
}

TEST(BloatCheck, OutOfBudgetIsOneUnknown)
{
    observed::Bloat left_out = bloat_of(true, 0, 0);
    left_out.unmeasured = "the time for sampling was used up";
    left_out.out_of_budget = true;
    Observations seen = planted(left_out);
    seen.bloat.push_back(seen.bloat.front());
    const Outcome outcome = run(seen, "index_bloat");
    ASSERT_EQ(outcome.findings.size(), 1u);
    EXPECT_EQ(outcome.status, Status::unknown);
    EXPECT_NE(outcome.findings[0].message.find("2 indexes"), std::string::npos);
    EXPECT_EQ(outcome.findings[0].unmeasured.at(0), "public.orders_key");
}

TEST(BloatCheck, WhatIsRememberedSaysSinceWhen)
{
    observed::Bloat remembered = bloat_of(false, 55, 4 * gb, 40);
    remembered.seconds_ago = 600;
    EXPECT_NE(run(planted(remembered), "bloat").findings.at(0).message.find("(measured 10 min"),
              std::string::npos)
        << run(planted(remembered), "bloat").findings.at(0).message;
    EXPECT_EQ(run(planted(bloat_of(false, 55, 4 * gb, 40)), "bloat").findings.at(0).message.find("ago"),
              std::string::npos);
}

TEST(IndexBloatCheck, FiresWithRebuild)
{
    const Outcome outcome = run(planted(bloat_of(true, 45, 4 * gb)), "index_bloat");
    ASSERT_EQ(outcome.status, Status::warning);
    EXPECT_EQ(outcome.findings.front().fix, "REINDEX INDEX CONCURRENTLY public.orders_key;");
    EXPECT_EQ(run(planted(bloat_of(true, 45, 2 * gb)), "index_bloat").status, Status::ok) << "less than 1 GB";
}

} // namespace
