// The users' own checks: which definitions are refused, and what a number means.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "health/alerting/user_checks.hpp"
#include "health/score.hpp"

namespace opsrunbook::health {
namespace {

UserCheck low_stock()
{
    UserCheck check;
    check.name = "low_stock";
    check.sql = "SELECT min(n) FROM stock";
    check.warning = 10;
    check.critical = 3;
    check.direction = Direction::below;
    check.unit = "pieces";
    check.description = "order more";
    return check;
}

TEST(UserChecks, ANumberBecomesALevel)
{
    const ListedUserCheck listed(low_stock());
    for (const auto &[value, expected] : std::vector<std::pair<double, Status>>{{11, Status::ok},
                                                                                {10, Status::ok},
                                                                                {9.99, Status::warning},
                                                                                {3, Status::warning},
                                                                                {2, Status::critical}})
        EXPECT_EQ(outcome_of(listed, {value, ""}).status, expected) << value;
    const Outcome outcome = outcome_of(listed, {2, ""});
    ASSERT_EQ(outcome.findings.size(), 1u);
    const Finding &finding = outcome.findings[0];
    EXPECT_EQ(finding.check_id, "low_stock");
    EXPECT_EQ(finding.message, "low_stock is 2 pieces (below 3): order more");
    EXPECT_EQ(finding.value, 2);
    EXPECT_EQ(finding.threshold, 3);
    EXPECT_EQ(outcome.check->category, Category::user);
}

TEST(UserChecks, NoNumberIsUnknown)
{
    const ListedUserCheck listed(low_stock());
    const Outcome outcome = outcome_of(listed, {std::nullopt, "it failed"});
    EXPECT_EQ(outcome.status, Status::unknown);
    EXPECT_EQ(outcome.findings.at(0).message, "it failed");
    EXPECT_NE(outcome.findings.at(0).fix.find("remove_check('low_stock')"), std::string::npos);
}

TEST(UserChecks, CountInTheScoreOnlyWhenAsked)
{
    UserCheck check = low_stock();
    const ListedUserCheck aside(check);
    check.in_score = true;
    const ListedUserCheck counted(check);
    std::vector<Outcome> outcomes;
    outcomes.push_back({find_check("dead_tuples"), Status::ok, {}, ""});
    outcomes.push_back(outcome_of(aside, {2, ""}));
    EXPECT_EQ(score_of(outcomes).overall, 100);
    EXPECT_EQ(score_of(outcomes).categories.size(), 1u);
    outcomes.back() = outcome_of(counted, {2, ""});
    EXPECT_LT(score_of(outcomes).overall, 100);
}

TEST(UserChecks, WhatCannotWorkIsRefused)
{
    EXPECT_NO_THROW(require_valid(low_stock()));
    const auto refused = [](auto change) {
        UserCheck check = low_stock();
        change(check);
        EXPECT_THROW(require_valid(check), base::Error);
    };
    refused([](UserCheck &check) { check.name = " "; });
    refused([](UserCheck &check) { check.name = "dead_tuples"; });
    refused([](UserCheck &check) { check.sql = ""; });
    refused([](UserCheck &check) { check.warning = check.critical = std::nullopt; });
    refused([](UserCheck &check) { check.critical = 11; });
    refused([](UserCheck &check) { check.direction = Direction::above; });
    refused([](UserCheck &check) { check.timeout_ms = 0; });
    refused([](UserCheck &check) { check.timeout_ms = 60001; });
    EXPECT_EQ(parse_direction("above"), Direction::above);
    EXPECT_THROW(parse_direction("sideways"), base::Error);
}

} // namespace
} // namespace opsrunbook::health
