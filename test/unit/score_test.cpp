// From findings to the score: thresholds, the judge, weights, caps.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "health/check.hpp"
#include "health/score.hpp"

namespace {

using namespace opsrunbook::health;
using opsrunbook::base::Error;
using opsrunbook::base::ErrorKind;

constexpr Check vacuum_check{.id = "v", .title = "v", .category = Category::vacuum, .points = 40};
constexpr Check vacuum_check_2{.id = "v2", .title = "v2", .category = Category::vacuum, .points = 80};
constexpr Check lock_check{.id = "l", .title = "l", .category = Category::locks, .points = 50};
constexpr Check wal_check{.id = "w", .title = "w", .category = Category::wal, .points = 100};

Outcome outcome(const Check &check, Status status, bool lethal = false)
{
    Outcome out{&check, status, {}, ""};
    if (status != Status::ok) {
        Finding finding;
        finding.check_id = check.id;
        finding.status = status;
        finding.message = finding.check_id + " is wrong";
        finding.lethal = lethal;
        out.findings.push_back(finding);
    }
    return out;
}

const CategoryScore &category(const Score &score, Category wanted)
{
    for (const CategoryScore &candidate : score.categories)
        if (candidate.category == wanted)
            return candidate;
    throw std::logic_error("the score lacks a category");
}

TEST(Score, NothingFoundIsExcellent)
{
    const std::vector<Outcome> outcomes{outcome(vacuum_check, Status::ok), outcome(lock_check, Status::ok)};
    const Score score = score_of(outcomes);
    EXPECT_EQ(score.overall, 100);
    EXPECT_EQ(score.verdict, "Excellent");
    EXPECT_EQ(score.status, Status::ok);
    EXPECT_EQ(score.categories.size(), 2u);
}

TEST(Score, CriticalCostsThePointsAndWarningHalfOfThem)
{
    const std::vector<Outcome> outcomes{outcome(vacuum_check, Status::warning),
                                        outcome(lock_check, Status::critical)};
    const Score score = score_of(outcomes);
    EXPECT_EQ(category(score, Category::vacuum).score, 80);
    EXPECT_EQ(category(score, Category::vacuum).status, Status::warning);
    EXPECT_EQ(category(score, Category::locks).score, 50);
    EXPECT_EQ(category(score, Category::locks).status, Status::critical);
}

TEST(Score, EveryPointLostNamesItsFinding)
{
    const std::vector<Outcome> outcomes{outcome(vacuum_check, Status::critical),
                                        outcome(vacuum_check_2, Status::critical),
                                        outcome(lock_check, Status::warning)};
    const Score score = score_of(outcomes);
    double lost = 0;
    for (const CategoryScore &each : score.categories) {
        double in_category = 0;
        for (const Lost &one : each.lost) {
            ASSERT_NE(one.finding, nullptr);
            EXPECT_FALSE(one.finding->message.empty());
            in_category += one.points;
        }
        EXPECT_DOUBLE_EQ(in_category, 100 - each.score);
        lost += in_category * each.weight;
    }
    EXPECT_DOUBLE_EQ(lost, 100 - score.overall);
    // 80 + 40 would be more than there is: the larger loss counts first, the other takes what is left.
    const CategoryScore &vacuum = category(score, Category::vacuum);
    EXPECT_EQ(vacuum.score, 0);
    ASSERT_EQ(vacuum.lost.size(), 2u);
    EXPECT_EQ(vacuum.lost[0].finding->check_id, "v2");
    EXPECT_EQ(vacuum.lost[1].points, 20);
}

TEST(Score, UnknownIsNeverHealthyAndTheOthersAreReweighted)
{
    const std::vector<Outcome> outcomes{outcome(vacuum_check, Status::critical),
                                        outcome(lock_check, Status::ok), outcome(wal_check, Status::unknown)};
    const Score score = score_of(outcomes);
    const CategoryScore &wal = category(score, Category::wal);
    EXPECT_EQ(wal.status, Status::unknown);
    EXPECT_EQ(wal.weight, 0);
    EXPECT_EQ(wal.unmeasured, "w is wrong");
    const double vacuum = category_weight(Category::vacuum), locks = category_weight(Category::locks);
    EXPECT_DOUBLE_EQ(category(score, Category::vacuum).weight, vacuum / (vacuum + locks));
    EXPECT_DOUBLE_EQ(category(score, Category::vacuum).weight + category(score, Category::locks).weight, 1);
    EXPECT_DOUBLE_EQ(score.overall, 100 - 40 * vacuum / (vacuum + locks));
}

TEST(Score, AnUnknownCheckBesideAMeasuredOneCostsNothingAndHidesNothing)
{
    const std::vector<Outcome> outcomes{outcome(vacuum_check, Status::unknown),
                                        outcome(vacuum_check_2, Status::warning)};
    const Score score = score_of(outcomes);
    const CategoryScore &vacuum = category(score, Category::vacuum);
    EXPECT_EQ(vacuum.status, Status::warning);
    EXPECT_EQ(vacuum.score, 60);
    EXPECT_EQ(vacuum.lost.size(), 1u);
}

TEST(Score, NothingMeasuredIsNoScore)
{
    const std::vector<Outcome> unknown{outcome(vacuum_check, Status::unknown)};
    for (const std::vector<Outcome> &outcomes : {std::vector<Outcome>{}, unknown}) {
        const Score score = score_of(outcomes);
        EXPECT_EQ(score.status, Status::unknown);
        EXPECT_EQ(score.verdict, "not measured");
        EXPECT_EQ(score.overall, 0);
    }
}

TEST(Score, ALethalFindingCapsTheScore)
{
    const std::vector<Outcome> deadly{outcome(lock_check, Status::critical, true),
                                      outcome(vacuum_check, Status::ok)};
    const Score score = score_of(deadly);
    EXPECT_EQ(score.overall, lethal_cap);
    EXPECT_GT(score.before_cap, lethal_cap);
    ASSERT_NE(score.lethal, nullptr);
    EXPECT_EQ(score.lethal->check_id, "l");
    EXPECT_EQ(score.verdict, "Critical");
    EXPECT_EQ(score.status, Status::critical);
    const std::vector<Outcome> early{outcome(lock_check, Status::warning, true),
                                     outcome(vacuum_check, Status::ok)};
    EXPECT_EQ(score_of(early).lethal, nullptr); // not critical yet
    EXPECT_GT(score_of(early).overall, lethal_cap);
}

TEST(Score, Verdicts)
{
    struct Case {
        double points;
        const char *verdict;
        Status status;
    };
    for (const Case &c : {Case{9, "Excellent", Status::ok},
                          {10, "Good", Status::ok},
                          {24, "Good", Status::ok},
                          {25, "Fair", Status::warning},
                          {39, "Fair", Status::warning},
                          {40, "Poor", Status::critical},
                          {69, "Poor", Status::critical},
                          {70, "Critical", Status::critical}}) {
        const Check check{.id = "x", .title = "x", .category = Category::wal, .points = c.points};
        const std::vector<Outcome> outcomes{outcome(check, Status::critical)};
        const Score score = score_of(outcomes);
        EXPECT_EQ(score.verdict, c.verdict) << c.points;
        EXPECT_EQ(score.status, c.status) << c.points;
    }
}

TEST(Score, EveryCategoryHasANameAndAWeight)
{
    for (Category each :
         {Category::wraparound, Category::vacuum, Category::locks, Category::connections,
          Category::performance, Category::indexes, Category::storage, Category::replication, Category::wal,
          Category::integrity, Category::configuration, Category::backup, Category::user}) {
        EXPECT_GT(category_weight(each), 0);
        EXPECT_FALSE(category_text(each).empty());
    }
}

constexpr Check metric_check{.id = "m",
                             .title = "m",
                             .category = Category::vacuum,
                             .points = 10,
                             .metric = "metric",
                             .warning = 10,
                             .critical = 20};
constexpr Check below_check{.id = "b",
                            .title = "b",
                            .category = Category::vacuum,
                            .points = 10,
                            .metric = "ratio",
                            .direction = Direction::below,
                            .warning = 90,
                            .critical = 80};

TEST(Judge, ComparesWithTheChecksOwnThresholds)
{
    const Thresholds none;
    const Judge above(metric_check, none), below(below_check, none);
    EXPECT_EQ(above.level(10), Status::ok); // a threshold must be crossed, not met
    EXPECT_EQ(above.level(10.1), Status::warning);
    EXPECT_EQ(above.level(20), Status::warning);
    EXPECT_EQ(above.level(21), Status::critical);
    EXPECT_EQ(below.level(90), Status::ok);
    EXPECT_EQ(below.level(89), Status::warning);
    EXPECT_EQ(below.level(79), Status::critical);
}

TEST(Judge, MeasuresIntoFindings)
{
    const Thresholds none;
    Judge judge(metric_check, none);
    EXPECT_EQ(judge.measure(5, "s.t", "fine"), nullptr);
    Finding *finding = judge.measure(15, "s.t", "too much");
    ASSERT_NE(finding, nullptr);
    EXPECT_EQ(finding->check_id, "m");
    EXPECT_EQ(finding->object, "s.t");
    EXPECT_EQ(finding->value, 15);
    EXPECT_EQ(finding->threshold, 10);
    judge.unknown("may not look");
    ASSERT_EQ(judge.findings.size(), 2u);
    EXPECT_EQ(judge.findings[1].status, Status::unknown);
}

TEST(Thresholds, TheMostSpecificRowSpeaks)
{
    const Thresholds thresholds({{"metric", "", 100, 200, true},
                                 {"metric", "s.*", 1000, 2000, true},
                                 {"metric", "s.big_*", 5000, 6000, true},
                                 {"metric", "s.big_one", 50000, 60000, true},
                                 {"metric", "s.quiet", {}, {}, false},
                                 {"other", "s.t", 1, 2, true}});
    const Judge judge(metric_check, thresholds);
    EXPECT_EQ(judge.threshold(Status::warning, ""), 100);
    EXPECT_EQ(judge.threshold(Status::warning, "r.t"), 100);
    EXPECT_EQ(judge.threshold(Status::warning, "s.t"), 1000);
    EXPECT_EQ(judge.threshold(Status::critical, "s.big_two"), 6000);
    EXPECT_EQ(judge.threshold(Status::warning, "s.big_one"), 50000);
    EXPECT_EQ(judge.level(1e9, "s.quiet"), Status::ok);
    EXPECT_EQ(judge.level(150, "r.t"), Status::warning);
    EXPECT_EQ(judge.level(150, "s.t"), Status::ok);
}

TEST(Thresholds, ARowWithOneLimitHasOnlyThatOne)
{
    const Thresholds thresholds({{"metric", "", 5, {}, true}});
    const Judge judge(metric_check, thresholds);
    EXPECT_EQ(judge.level(6), Status::warning);
    EXPECT_EQ(judge.level(1e9), Status::warning);
}

TEST(Thresholds, Globs)
{
    struct Case {
        const char *pattern, *text;
        bool matches;
    };
    for (const Case &c : {Case{"a.b", "a.b", true},
                          {"a.b", "a.bc", false},
                          {"*", "", true},
                          {"*", "a.b", true},
                          {"a.*", "a.b", true},
                          {"a.*", "ab", false},
                          {"*_log", "s.audit_log", true},
                          {"*_log", "s.audit_logs", false},
                          {"a*b*c", "aXbYc", true},
                          {"a*b*c", "acb", false},
                          {"a*", "", false}})
        EXPECT_EQ(glob_matches(c.pattern, c.text), c.matches) << c.pattern << " " << c.text;
}

TEST(Evaluate, EmptyObservationsBreakNoCheck)
{
    const Observations nothing;
    const std::vector<Outcome> outcomes = evaluate(nothing, Thresholds());
    EXPECT_EQ(outcomes.size(), registry().size());
    for (const Outcome &each : outcomes)
        for (const Finding &finding : each.findings)
            EXPECT_FALSE(finding.message.empty()) << each.check->id;
    const Score score = score_of(outcomes);
    EXPECT_GE(score.overall, 0);
    EXPECT_LE(score.overall, 100);
}

TEST(Evaluate, RunsWhatIsAskedFor)
{
    const Observations nothing;
    const std::string first(registry().front()->id);
    const std::vector<Outcome> outcomes = evaluate(nothing, Thresholds(), {first});
    ASSERT_EQ(outcomes.size(), 1u);
    EXPECT_EQ(outcomes[0].check->id, first);
    try {
        evaluate(nothing, Thresholds(), {first, "no such check"});
        FAIL() << "an unknown check was accepted";
    }
    catch (const Error &error) {
        EXPECT_EQ(error.kind, ErrorKind::undefined);
        EXPECT_FALSE(error.hint.empty());
    }
}

} // namespace
