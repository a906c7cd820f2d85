#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "advice/bloat/estimate.hpp"
#include "advice/bloat/heap_page.hpp"
#include "advice/bloat/rebuilt_btree.hpp"
#include "advice/bloat/recommend.hpp"
#include "advice/bloat/triage.hpp"

using namespace opsrunbook;
using namespace opsrunbook::advice;

namespace {

TEST(SpreadRanks, OneFromEachRun)
{
    for (const uint64_t pages : {10ull, 999ull, 262144ull, 4000000000ull})
        for (const uint64_t count : {1ull, 7ull, 400ull}) {
            const std::vector<uint32_t> ranks = spread_ranks(pages, count, 42);
            ASSERT_EQ(ranks.size(), std::min(pages, count));
            for (size_t i = 0; i < ranks.size(); ++i) {
                EXPECT_GE(ranks[i], i * pages / ranks.size());
                EXPECT_LT(ranks[i], (i + 1) * pages / ranks.size());
            }
        }
    EXPECT_TRUE(spread_ranks(0, 10, 1).empty());
    EXPECT_NE(spread_ranks(100000, 10, 1), spread_ranks(100000, 10, 2));
}

TEST(EstimateMean, CensusIsExact)
{
    std::vector<Stratum> strata(2);
    strata[0] = {2, {{0, 10}, {1, 90}}};
    strata[1] = {2, {{2, 0}, {3, 0}}};
    const Estimate estimate = estimate_mean(strata);
    EXPECT_DOUBLE_EQ(estimate.mean, 25);
    EXPECT_DOUBLE_EQ(estimate.half_width, 0);
}

TEST(EstimateMean, NothingToMeasure)
{
    std::vector<Stratum> none;
    EXPECT_DOUBLE_EQ(estimate_mean(none).mean, 0);
    std::vector<Stratum> empty(2);
    EXPECT_DOUBLE_EQ(estimate_mean(empty).half_width, 0);
}

TEST(EstimateMean, UniformSampleStillAdmitsDoubt)
{
    std::vector<Stratum> strata(1);
    strata[0].pages = 1000000;
    for (uint32_t i = 0; i < 400; ++i)
        strata[0].samples.push_back({i * 2500, 0});
    const double half_width = estimate_mean(strata).half_width;
    EXPECT_GT(half_width, 0.1);
    EXPECT_LT(half_width, 1);
}

TEST(EstimateMean, UncertainPagesWidenACensus)
{
    std::vector<Stratum> strata(1);
    strata[0] = {2, {{0, 50, 16}, {1, 50, 16}}};
    EXPECT_GT(estimate_mean(strata).half_width, 2);
}

// Files of several shapes, measured many times as the flow does: the interval must hold the truth.
struct Shape {
    const char *name;
    std::function<double(uint32_t, std::mt19937 &)> value;
};

TEST(EstimateMean, IntervalHoldsTheTruth)
{
    const auto uniform = [](std::mt19937 &random) { return std::uniform_real_distribution<>(0, 1)(random); };
    const Shape shapes[] = {
        {"even", [&](uint32_t, std::mt19937 &random) { return 20 + 10 * uniform(random); }},
        {"all or nothing", [&](uint32_t, std::mt19937 &random) { return uniform(random) < 0.3 ? 100 : 0; }},
        {"rare", [&](uint32_t, std::mt19937 &random) { return uniform(random) < 0.005 ? 100 : 0; }},
        {"a range", [](uint32_t page, std::mt19937 &) { return page > 20000 && page < 50000 ? 95 : 1; }},
        {"alternating", [](uint32_t page, std::mt19937 &) { return page % 2 ? 80 : 0; }},
        {"slope", [&](uint32_t page, std::mt19937 &random) { return page / 2000.0 + 5 * uniform(random); }},
    };
    constexpr uint32_t pages = 100000;
    for (const Shape &shape : shapes) {
        std::mt19937 random(7);
        std::vector<double> file(pages);
        double truth = 0;
        for (uint32_t page = 0; page < pages; ++page)
            truth += (file[page] = shape.value(page, random)) / pages;
        int inside = 0;
        double error = 0;
        constexpr int rounds = 300;
        for (int round = 0; round < rounds; ++round) {
            std::vector<Stratum> strata(1);
            strata[0].pages = pages;
            const auto draw = [&](uint64_t count) {
                for (const uint32_t rank : spread_ranks(pages, count, random()))
                    strata[0].samples.push_back({rank, file[rank]});
            };
            draw(400);
            const uint64_t wanted = allocate(strata, 0.7, 3000).front();
            EXPECT_LE(wanted, 3001u);
            if (wanted > 400)
                draw(wanted - 400);
            const Estimate estimate = estimate_mean(strata);
            inside += std::abs(estimate.mean - truth) <= estimate.half_width;
            error += std::abs(estimate.mean - truth) / rounds;
        }
        EXPECT_GE(inside, rounds * 93 / 100) << shape.name;
        EXPECT_LT(error, 0.8) << shape.name;
    }
}

TEST(Allocate, SpreadDecides)
{
    std::vector<Stratum> strata(2);
    strata[0].pages = strata[1].pages = 100000;
    for (uint32_t i = 0; i < 100; ++i) {
        strata[0].samples.push_back({i, i % 2 ? 60.0 : 0.0});
        strata[1].samples.push_back({i, 5});
    }
    const std::vector<uint64_t> counts = allocate(strata, 0.7, 3000);
    EXPECT_GT(counts[0], 5 * counts[1]);
    EXPECT_GE(counts[1], 100u); // never below what was read already
}

TEST(Allocate, SmallStratumIsReadCompletely)
{
    std::vector<Stratum> strata(1);
    strata[0].pages = 50;
    strata[0].samples = {{0, 0}, {10, 100}, {20, 0}, {30, 100}};
    EXPECT_GE(allocate(strata, 0.1, 3000).front(), 49u);
}

observed::BtreePage leaf(std::vector<observed::KeyGroup> groups)
{
    observed::BtreePage page;
    page.kind = observed::BtreePageKind::leaf;
    page.pivot_bytes = 16;
    page.groups = std::move(groups);
    return page;
}

double sum(const std::vector<double> &values)
{
    double all = 0;
    for (const double value : values)
        all += value;
    return all;
}

// CREATE INDEX on 1,000,000 integers: 2,745 pages, of which 2,733 leaves with 366 rows each (PostgreSQL 15).
TEST(RebuiltBtree, FreshUniqueIntegers)
{
    std::vector<observed::BtreePage> pages(2733, leaf({{16, 1, 366}}));
    const double leaves = sum(rebuilt_leaf_pages({90, false}, pages));
    EXPECT_NEAR(leaves, 2733, 3);
    EXPECT_NEAR(rebuilt_pages(std::ceil(leaves), 16), 2745, 4);
}

TEST(RebuiltBtree, HalfEmptyPagesMerge)
{
    const std::vector<observed::BtreePage> pages(1000, leaf({{16, 1, 183}}));
    EXPECT_NEAR(sum(rebuilt_leaf_pages({90, false}, pages)), 500, 2);
}

TEST(RebuiltBtree, DeletedAndInternalPagesGoAway)
{
    std::vector<observed::BtreePage> pages(10, leaf({{16, 1, 366}}));
    pages.resize(20);
    pages[12].kind = observed::BtreePageKind::deleted;
    pages[13].kind = observed::BtreePageKind::half_dead;
    pages[14].kind = observed::BtreePageKind::internal;
    EXPECT_NEAR(sum(rebuilt_leaf_pages({90, false}, pages)), 10, 1);
}

TEST(RebuiltBtree, DeduplicationMerges)
{
    // 100 rows of each key: a posting list of 616 bytes instead of 100 tuples of 20.
    const std::vector<observed::BtreePage> pages(100, leaf({{16, 100, 3}}));
    const double apart = sum(rebuilt_leaf_pages({90, false}, pages));
    const double merged = sum(rebuilt_leaf_pages({90, true}, pages));
    EXPECT_NEAR(apart / merged, 100 * 20 / 620.0, 0.25);
}

TEST(RebuiltBtree, FillfactorCounts)
{
    const std::vector<observed::BtreePage> pages(100, leaf({{16, 1, 366}}));
    EXPECT_NEAR(sum(rebuilt_leaf_pages({45, false}, pages)) / sum(rebuilt_leaf_pages({90, false}, pages)), 2,
                0.06);
}

TEST(RebuiltBtree, DeadRowsStayOut)
{
    std::vector<observed::BtreePage> pages(100, leaf({{16, 1, 366}}));
    for (observed::BtreePage &page : pages)
        page.live_share = 0.25;
    EXPECT_NEAR(sum(rebuilt_leaf_pages({90, false}, pages)), 25, 1);
    for (observed::BtreePage &page : pages)
        page.live_share = 0;
    EXPECT_NEAR(sum(rebuilt_leaf_pages({90, true}, pages)), 0, 1e-9);
}

TEST(Triage, WithinTheBudget)
{
    std::vector<Candidate> candidates;
    for (uint32_t i = 0; i < 1000; ++i)
        candidates.push_back({i, uint64_t{10} * i, 1});
    Triage triage;
    triage.budget = 50000;
    const std::vector<uint64_t> allotted = allot(candidates, triage);
    uint64_t total = 0;
    for (size_t i = 0; i < candidates.size(); ++i)
        total += std::min(candidates[i].pages, allotted[i]);
    EXPECT_LE(total, 50000u);
    EXPECT_EQ(allotted[0], 0u);
    EXPECT_GE(allotted[999], 100u);
}

TEST(Triage, TheLongestUnmeasuredFirstThenTheMostSuspectedWaste)
{
    // A small table, a large one, a suspicious one of half its size, and one measured an hour before the
    // rest.
    const std::vector<Candidate> candidates = {
        {1, 200000, 1, 60}, {2, 900000, 1, 60}, {3, 450000, 2.5, 60}, {4, 150000, 1, 3660}};
    EXPECT_EQ(by_urgency(candidates), (std::vector<size_t>{3, 2, 1, 0}));
    Triage triage;
    triage.budget = triage.least = triage.most = 100;
    EXPECT_EQ(allot(candidates, triage), (std::vector<uint64_t>{0, 0, 0, 100}));
}

TEST(Triage, LargestFirstWhenTheLeastDoesNotFit)
{
    std::vector<Candidate> candidates;
    for (uint32_t i = 0; i < 100; ++i)
        candidates.push_back({i, 1000 + i, 1});
    Triage triage;
    triage.budget = 1000;
    const std::vector<uint64_t> allotted = allot(candidates, triage);
    EXPECT_EQ(std::count(allotted.begin(), allotted.end(), 0u), 90);
    EXPECT_EQ(allotted[99], 100u);
    EXPECT_EQ(allotted[0], 0u);
    triage.budget = 0;
    EXPECT_EQ(allot(candidates, triage)[99], 0u);
}

// What a rewrite leaves free again is not waste.
TEST(HeapPage, KeepsWhatNoRowFitsInto)
{
    constexpr uint16_t narrow = 40, wide = 4500, half = 3972;
    const auto page = [](uint16_t width, uint16_t rows, uint16_t reserve) {
        const auto bytes = static_cast<uint16_t>(width * rows);
        return observed::HeapPage{0, static_cast<uint16_t>(8168 - bytes), 0, reserve, rows, bytes};
    };
    EXPECT_EQ(kept_free(page(wide, 1, 0)), 8168 - wide) << "one row of more than half a page";
    EXPECT_EQ(kept_free(page(half, 2, 0)), 8168 - 2 * half) << "two rows";
    EXPECT_EQ(kept_free(page(half, 1, 0)), 8168 - 2 * half) << "there is space for a second one";
    EXPECT_EQ(kept_free(page(narrow, 100, 0)), 8168 % narrow) << "half empty";
    EXPECT_EQ(kept_free(page(narrow, 100, 4096)), 4096 + (8168 - 4096) % narrow) << "as fillfactor wants it";
    EXPECT_EQ(kept_free(page(narrow, 190, 4096)), 8168 - 190 * narrow) << "updates used the reserve";
    EXPECT_EQ(kept_free(page(narrow, 0, 0)), 0) << "an empty page is waste";
    EXPECT_EQ(kept_free(page(8160, 1, 4096)), 8) << "a row that fillfactor has no place for gets a page";
}

observed::Bloat bloat_of(double pct, double dead, int64_t bytes, double reserved = 0)
{
    observed::Bloat bloat;
    bloat.pct = pct;
    bloat.dead_pct = dead;
    bloat.free_pct = pct - dead;
    bloat.reserved_pct = reserved;
    bloat.bytes = bytes;
    return bloat;
}

TEST(Remedy, RewriteIsTheLastResort)
{
    constexpr int64_t gb = 1ll << 30;
    EXPECT_EQ(table_remedy(bloat_of(20, 1, 100 * gb), "t").command, "");
    EXPECT_EQ(table_remedy(bloat_of(60, 40, 10 * gb), "t").command, "VACUUM (ANALYZE) t;");
    EXPECT_EQ(table_remedy(bloat_of(60, 1, gb), "t").command, "") << "half a gigabyte will be used again";
    const Remedy rewrite = table_remedy(bloat_of(60, 1, 10 * gb), "t");
    EXPECT_NE(rewrite.command.find("-- in a maintenance window"), std::string::npos);
    EXPECT_NE(rewrite.text.find("pg_repack"), std::string::npos);
    EXPECT_EQ(table_remedy(bloat_of(60, 1, 10 * gb, 50), "t").command, "") << "fillfactor asked for it";
    EXPECT_EQ(index_remedy(bloat_of(40, 0, gb), "i").command, "REINDEX INDEX CONCURRENTLY i;");
    EXPECT_EQ(index_remedy(bloat_of(10, 0, gb), "i").command, "");
}

} // namespace
