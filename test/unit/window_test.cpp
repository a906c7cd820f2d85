#include "maintenance/window.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "score_order.hpp"

using namespace opsrunbook::maintenance;
using namespace opsrunbook::test;

namespace {

Candidate task(int64_t id, double benefit, double seconds)
{
    Candidate out;
    out.id = id;
    out.benefit = benefit;
    out.seconds = seconds;
    return out;
}

using Ids = std::vector<int64_t>;

template <class T> Ids ids(const std::vector<T> &tasks)
{
    Ids out(tasks.size());
    std::transform(tasks.begin(), tasks.end(), out.begin(), [](const T &one) { return one.id; });
    return out;
}

// Tables with work of different kinds: a task's time goes with the table's size, its benefit with the dead
// rows times how often the table is scanned; neither is what the score looks at.
std::vector<ScoredTask> random_tables(std::mt19937 &random, size_t count)
{
    std::uniform_real_distribution<double> unit(0, 1);
    const auto between = [&](double low, double high) { return low * std::pow(high / low, unit(random)); };
    std::vector<ScoredTask> out;
    for (size_t at = 0; at < count; ++at) {
        const double rows = between(1e6, 1e7), dead = rows * between(0.05, 1), scans = between(1, 100);
        ScoredTask one;
        one.candidate = task(static_cast<int64_t>(at), dead * scans / 1e6, rows * between(0.5, 2) / 1e5);
        one.state = {rows, dead, rows * unit(random) / 4, dead, 200e6 * unit(random), 0, 1};
        out.push_back(one);
    }
    return out;
}

// What must hold of every plan: each task once, no worker does two things at once, tasks start in the listed
// order and inside the window, the chosen tasks fit into the workers' time.
void expect_sound(const WindowPlan &plan, const std::vector<Candidate> &candidates, const Window &window)
{
    std::set<size_t> seen;
    std::vector<double> free_at(static_cast<size_t>(window.workers), 0.0);
    double chosen = 0, benefit = 0, last_start = 0, ends = 0;
    for (const Scheduled &one : plan.now) {
        const Candidate &candidate = candidates[one.candidate];
        EXPECT_TRUE(seen.insert(one.candidate).second);
        EXPECT_EQ(one.id, candidate.id);
        EXPECT_FALSE(one.reason.empty());
        double &worker = free_at[static_cast<size_t>(one.worker)];
        EXPECT_DOUBLE_EQ(one.starts, worker);
        EXPECT_GE(one.starts, last_start);
        last_start = one.starts;
        worker = one.ends;
        ends = std::max(ends, one.ends);
        if (candidate.emergency || candidate.forced)
            continue;
        benefit += effective_benefit(candidate, window.ageing);
        chosen += candidate.seconds;
        if (window.seconds) {
            EXPECT_LT(one.starts, *window.seconds);
            EXPECT_LE(candidate.seconds, *window.seconds);
        }
    }
    for (const CarriedOver &one : plan.later) {
        EXPECT_TRUE(seen.insert(one.candidate).second);
        EXPECT_EQ(one.reason.rfind("carried over: needs ", 0), 0U) << one.reason;
    }
    EXPECT_EQ(seen.size(), candidates.size());
    EXPECT_DOUBLE_EQ(plan.ends, ends);
    EXPECT_NEAR(plan.benefit, benefit, 1e-9 * (1 + benefit));
    EXPECT_LE(plan.benefit, plan.benefit_at_most * (1 + 1e-9));
    if (window.seconds) {
        EXPECT_LE(chosen, std::max(0.0, *window.seconds) * window.workers * (1 + 1e-9));
    }
}

} // namespace

TEST(Window, NothingToDo)
{
    for (const auto &seconds : {std::optional<double>{}, std::optional<double>{60}}) {
        const WindowPlan plan = plan_window({}, {seconds, 2});
        EXPECT_TRUE(plan.now.empty());
        EXPECT_TRUE(plan.later.empty());
        EXPECT_TRUE(plan.exact);
        EXPECT_EQ(plan.ends, 0);
    }
}

TEST(Window, WithoutWindowEverythingRunsByBenefitPerSecond)
{
    const std::vector<Candidate> candidates{task(1, 10, 10), task(2, 30, 10), task(3, 100, 1000),
                                            task(4, 0, 1)};
    const WindowPlan plan = plan_window(candidates, {std::nullopt, 1});
    EXPECT_EQ(ids(plan.now), (Ids{2, 1, 3, 4}));
    EXPECT_TRUE(plan.later.empty());
    EXPECT_EQ(plan.now[0].reason, "no window: 180 benefit/min");
    EXPECT_DOUBLE_EQ(plan.ends, 1021);
    expect_sound(plan, candidates, {std::nullopt, 1});
}

TEST(Window, PicksTheBestSetNotTheBestFirst)
{
    // By benefit per second the first goes in and neither of the others fits beside it.
    const std::vector<Candidate> candidates{task(1, 61, 60), task(2, 50, 50), task(3, 50, 50)};
    const WindowPlan plan = plan_window(candidates, {100.0, 1});
    EXPECT_EQ(ids(plan.now), (Ids{2, 3}));
    EXPECT_EQ(ids(plan.later), (Ids{1}));
    EXPECT_EQ(plan.now[0].reason, "fits: 60 benefit/min");
    EXPECT_EQ(plan.later[0].reason, "carried over: needs 1 min, 0 ms left");
    EXPECT_TRUE(plan.exact);
}

TEST(Window, ReasonsGiveTheNumbers)
{
    const std::vector<Candidate> candidates{task(1, 98.4, 480), task(2, 20, 480), task(3, 5, 3600)};
    const WindowPlan plan = plan_window(candidates, {600.0, 1});
    ASSERT_EQ(ids(plan.now), (Ids{1}));
    EXPECT_EQ(plan.now[0].reason, "fits: 12.3 benefit/min");
    ASSERT_EQ(ids(plan.later), (Ids{2, 3}));
    EXPECT_EQ(plan.later[0].reason, "carried over: needs 8 min, 2 min left");
    EXPECT_EQ(plan.later[1].reason, "carried over: needs 1 h, longer than the window of 10 min");
}

TEST(Window, EmergencyIgnoresTheWindowAndComesFirstLongestFirst)
{
    std::vector<Candidate> candidates{task(1, 1e6, 10), task(2, 0, 100), task(3, 0, 5000), task(4, 5, 60)};
    candidates[1].emergency = candidates[2].emergency = true;
    const WindowPlan one = plan_window(candidates, {600.0, 1});
    EXPECT_EQ(ids(one.now), (Ids{3, 2}));
    EXPECT_EQ(ids(one.later), (Ids{1, 4}));
    EXPECT_EQ(one.now[0].reason, "emergency: runs whatever the window");
    EXPECT_EQ(one.later[0].reason, "carried over: needs 10 s, 0 ms left after urgent tasks");
    expect_sound(one, candidates, {600.0, 1});

    const WindowPlan two = plan_window(candidates, {600.0, 2}); // the second worker has 500 s left
    EXPECT_EQ(ids(two.now), (Ids{3, 2, 1, 4}));
    EXPECT_DOUBLE_EQ(two.seconds_left, 430);
    expect_sound(two, candidates, {600.0, 2});

    const WindowPlan closed = plan_window(candidates, {0.0, 2});
    EXPECT_EQ(ids(closed.now), (Ids{3, 2}));
    EXPECT_EQ(closed.later.size(), 2U);
    EXPECT_EQ(plan_window(candidates, {-5.0, 2}).now.size(), 2U);
}

TEST(Window, LongerThanTheWindowOnlyWhenForced)
{
    std::vector<Candidate> candidates{task(1, 1e9, 700), task(2, 1, 100)};
    EXPECT_EQ(ids(plan_window(candidates, {600.0, 4}).now), (Ids{2}));
    candidates[0].forced = true;
    EXPECT_EQ(ids(plan_window(candidates, {600.0, 1}).now), (Ids{1}));
    const WindowPlan plan = plan_window(candidates, {600.0, 2});
    EXPECT_EQ(ids(plan.now), (Ids{1, 2}));
    EXPECT_EQ(plan.now[0].reason, "asked for by name: runs whatever the window");
}

TEST(Window, OverrunsByOneTasksOvershootAndSaysSo)
{
    const std::vector<Candidate> candidates{task(1, 40, 40), task(2, 40, 40), task(3, 40, 40)};
    const WindowPlan plan = plan_window(candidates, {60.0, 2});
    EXPECT_EQ(ids(plan.now), (Ids{1, 2, 3}));
    EXPECT_DOUBLE_EQ(plan.ends, 80);
    EXPECT_EQ(plan.now[2].reason, "fits: 60 benefit/min, ends 20 s after the window");
}

TEST(Window, AgeingAndPriority)
{
    Candidate one = task(1, 8, 10);
    EXPECT_DOUBLE_EQ(effective_benefit(one, 1.5), 8);
    one.carried_over = 2;
    EXPECT_DOUBLE_EQ(effective_benefit(one, 1.5), 18);
    EXPECT_DOUBLE_EQ(effective_benefit(one, 0.5), 8); // ageing never takes away
    one.priority = 1;
    EXPECT_DOUBLE_EQ(effective_benefit(one, 1.5), 36);
    one.priority = -2;
    EXPECT_DOUBLE_EQ(effective_benefit(one, 1.5), 4.5);
    for (const double bad :
         {-1.0, 0.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
        EXPECT_EQ(effective_benefit(task(1, bad, 1), 1.5), 0);
    one.carried_over = one.priority = std::numeric_limits<int>::max();
    EXPECT_TRUE(std::isfinite(effective_benefit(one, 1.5)));
}

TEST(Window, NothingStarves)
{
    // Each night brings a task 1,000 times as good that fills the window alone.
    Candidate poor = task(1, 1, 60);
    int nights = 0;
    for (; nights < 50; ++nights) {
        const WindowPlan plan = plan_window({poor, task(2, 1000, 60)}, {60.0, 1});
        ASSERT_EQ(plan.now.size(), 1U);
        if (plan.now[0].id == 1)
            break;
        ++poor.carried_over;
    }
    EXPECT_EQ(nights, 18); // 1.5^18 > 1000
}

TEST(Window, StrangeNumbersAreTakenAsTheHeaderSays)
{
    const double nan = std::numeric_limits<double>::quiet_NaN(),
                 infinite = std::numeric_limits<double>::infinity();
    const std::vector<Candidate> candidates{task(1, 1, nan),      task(2, 1, -3),  task(3, 1, 0),
                                            task(4, 1, infinite), task(5, nan, 1), task(6, -1, 1)};
    const WindowPlan plan = plan_window(candidates, {60.0, 0}); // no worker counts as one
    EXPECT_EQ(ids(plan.later), (Ids{4}));
    EXPECT_EQ(plan.now.size(), 5U);
    EXPECT_TRUE(std::isfinite(plan.ends));
}

TEST(Window, BestOfBruteForceAndNeverBelowTheScoreOrder)
{
    std::mt19937 random(20240607);
    const int instances = 400;
    double worst = 1, best_sum = 0, ours_sum = 0, score_sum = 0, kind_sum = 0;
    std::vector<double> ratios;
    for (int instance = 0; instance < instances; ++instance) {
        const size_t count = instance % 40 == 0 ? 20 : 4 + random() % 13;
        std::vector<ScoredTask> tables = random_tables(random, count);
        const int workers = static_cast<int>(1 + random() % 3);
        const bool aged = instance % 3 == 1;
        for (ScoredTask &one : tables)
            one.candidate.carried_over = aged ? static_cast<int>(random() % 4) : 0;
        const std::vector<Candidate> candidates = candidates_of(tables);
        const Window window{total_seconds(candidates) / 4 / workers, workers};
        const WindowPlan plan = plan_window(candidates, window);
        expect_sound(plan, candidates, window);
        const double best = brute_force(candidates, *window.seconds, workers, window.ageing);
        EXPECT_TRUE(plan.exact);
        EXPECT_GE(plan.benefit, 0.95 * best);
        EXPECT_LE(plan.benefit, best * (1 + 1e-9));
        if (best > 0)
            worst = std::min(worst, plan.benefit / best);

        if (aged)
            continue; // the score knows no ageing
        const double by_score = score_order_benefit(tables, *window.seconds, workers, false);
        const double kind = score_order_benefit(tables, *window.seconds, workers, true);
        EXPECT_GE(plan.benefit * (1 + 1e-9), by_score);
        EXPECT_GE(plan.benefit * (1 + 1e-9), kind);
        best_sum += best, ours_sum += plan.benefit, score_sum += by_score, kind_sum += kind;
        if (kind > 0)
            ratios.push_back(plan.benefit / kind);
    }
    std::nth_element(ratios.begin(), ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2),
                     ratios.end());
    std::printf(
        "  a quarter of the work, %d instances: worst share of the optimum %.4f; all benefit %.4f of the "
        "optimum, %.2f x the score order, %.2f x the score order leaving out what does not fit (median %.2f "
        "x)\n",
        instances, worst, ours_sum / best_sum, ours_sum / score_sum, ours_sum / kind_sum,
        ratios[ratios.size() / 2]);
}

// Beyond what brute force can do: against the bound no choice can pass.
TEST(Window, ManyTasksStayWithinFivePercentOfTheBound)
{
    std::mt19937 random(7);
    std::uniform_real_distribution<double> unit(0, 1);
    struct Case {
        const char *what;
        size_t count;
        double share;      // of the total work
        bool proportional; // benefit goes with the time: the hard kind
    };
    for (const Case &one :
         {Case{"free", 200, 0.25, false}, Case{"free", 5000, 0.25, false}, Case{"hard", 100, 0.25, true},
          Case{"hard", 2000, 0.25, true}, Case{"few fit", 400, 0.01, true}, Case{"few fit", 400, 0.01, false},
          Case{"wide", 50000, 0.5, true}}) {
        std::vector<Candidate> candidates;
        candidates.reserve(one.count);
        for (size_t at = 0; at < one.count; ++at) {
            const double seconds = 1 + 999 * unit(random);
            candidates.push_back(task(static_cast<int64_t>(at),
                                      one.proportional ? seconds + 100 : 1000 * unit(random), seconds));
        }
        const Window window{total_seconds(candidates) * one.share, 1};
        const WindowPlan plan = plan_window(candidates, window);
        expect_sound(plan, candidates, window);
        EXPECT_GE(plan.benefit, 0.95 * plan.benefit_at_most) << one.what << " " << one.count;
    }
}

// The greatest benefit is one long task that fits only alone; the short ones are better by the second, and
// too many for the exact search.
TEST(Window, OneLongTaskAgainstManyShortOnes)
{
    std::vector<Candidate> candidates{task(0, 1000, 990)};
    for (int64_t id = 1; id <= 500; ++id)
        candidates.push_back(
            task(id, 1.1 + 1e-4 * static_cast<double>(id % 7), 1 + 1e-3 * static_cast<double>(id % 11)));
    const Window window{1000.0, 1};
    const WindowPlan plan = plan_window(candidates, window);
    expect_sound(plan, candidates, window);
    EXPECT_GE(plan.benefit, 1000);
    EXPECT_GE(plan.benefit, 0.95 * plan.benefit_at_most);
}
