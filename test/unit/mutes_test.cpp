// What mutes hide, what they cannot hide, and which are refused.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "health/alerting/mutes.hpp"
#include "health/score.hpp"

namespace opsrunbook::health {
namespace {

constexpr base::Timestamp now{1000000};
constexpr base::Timestamp later{2000000};

Finding finding(const std::string &check, Status status, const std::string &object)
{
    Finding found;
    found.check_id = check;
    found.status = status;
    found.object = object;
    found.message = object + " is bad";
    return found;
}

// dead_tuples with a critical and a warning table, and the check that watches the mutes.
std::vector<Outcome> outcomes()
{
    std::vector<Outcome> all;
    all.push_back({find_check("dead_tuples"),
                   Status::critical,
                   {finding("dead_tuples", Status::critical, "shop.orders"),
                    finding("dead_tuples", Status::warning, "log.events")},
                   ""});
    all.push_back({find_check("mute_hides_worse"), Status::ok, {}, "fine"});
    return all;
}

Mute mute(const std::string &object, Status severity, base::Timestamp until = later)
{
    return {"dead_tuples", object, until, "tomorrow", "known", "ann", severity};
}

TEST(Mutes, HideOneObject)
{
    std::vector<Outcome> all = outcomes();
    apply_mutes(all, {mute("shop.*", Status::critical)}, now);
    ASSERT_EQ(all[0].findings.size(), 1u);
    EXPECT_EQ(all[0].status, Status::warning);
    ASSERT_EQ(all[0].muted.size(), 1u);
    EXPECT_EQ(all[0].muted[0].mute, "muted by ann until tomorrow: known");
    EXPECT_TRUE(all[1].findings.empty());
}

TEST(Mutes, HideACheckFromTheScore)
{
    std::vector<Outcome> all = outcomes();
    EXPECT_LT(score_of(all).overall, 100);
    apply_mutes(all, {mute("*", Status::critical)}, now);
    EXPECT_EQ(all[0].status, Status::ok);
    EXPECT_EQ(score_of(all).overall, 100);
}

TEST(Mutes, ExpiredOnesHideNothing)
{
    std::vector<Outcome> all = outcomes();
    apply_mutes(all, {mute("*", Status::critical, now)}, now);
    EXPECT_EQ(all[0].findings.size(), 2u);
    EXPECT_TRUE(all[0].muted.empty());
}

TEST(Mutes, SayWhenTheyHideWorse)
{
    for (const Status then : {Status::ok, Status::warning, Status::unknown}) {
        std::vector<Outcome> all = outcomes();
        apply_mutes(all, {mute("shop.orders", then)}, now);
        ASSERT_EQ(all[1].findings.size(), 1u);
        const Finding &worse = all[1].findings[0];
        EXPECT_EQ(all[1].status, Status::warning);
        EXPECT_EQ(worse.object, "dead_tuples shop.orders");
        EXPECT_NE(worse.message.find("ann"), std::string::npos);
        EXPECT_EQ(worse.fix, "SELECT opsrunbook.unmute_alert('dead_tuples', 'shop.orders');");
    }
}

TEST(Mutes, OfWhatWasCriticalOrStaysAWarningAreSilent)
{
    std::vector<Outcome> all = outcomes();
    apply_mutes(all, {mute("shop.orders", Status::critical), mute("log.events", Status::ok)}, now);
    EXPECT_TRUE(all[1].findings.empty());
}

TEST(Mutes, CanHideTheWatcherToo)
{
    std::vector<Outcome> all = outcomes();
    Mute of_watcher = mute("*", Status::warning);
    of_watcher.check = "mute_hides_worse";
    apply_mutes(all, {of_watcher, mute("*", Status::warning)}, now);
    EXPECT_TRUE(all[1].findings.empty());
    EXPECT_EQ(all[1].muted.size(), 1u);
}

TEST(Mutes, DoNotMakeMeasuredWhatIsNot)
{
    std::vector<Outcome> all = outcomes();
    all[0].findings = {finding("dead_tuples", Status::unknown, "")};
    apply_mutes(all, {mute("*", Status::unknown)}, now);
    EXPECT_EQ(all[0].status, Status::unknown);
    for (const CategoryScore &category : score_of(all).categories)
        if (category.category == Category::vacuum) {
            EXPECT_EQ(category.weight, 0);
        }
}

TEST(Mutes, RememberTheWorstTheyCover)
{
    std::vector<Outcome> all = outcomes();
    EXPECT_EQ(worst_covered(all, "dead_tuples", "*"), Status::critical);
    EXPECT_EQ(worst_covered(all, "dead_tuples", "log.*"), Status::warning);
    EXPECT_EQ(worst_covered(all, "dead_tuples", "other"), Status::ok);
    apply_mutes(all, {mute("*", Status::critical)}, now);
    EXPECT_EQ(worst_covered(all, "dead_tuples", "*"), Status::critical);
}

TEST(Mutes, NeedAReasonAndAnEnd)
{
    const base::Timestamp in_two_years = now + base::seconds(2.0 * 365 * 86400);
    EXPECT_NO_THROW(require_valid_mute("known", later, now));
    EXPECT_THROW(require_valid_mute(" ", later, now), base::Error);
    EXPECT_THROW(require_valid_mute("known", now, now), base::Error);
    EXPECT_THROW(require_valid_mute("known", std::nullopt, now), base::Error);
    EXPECT_THROW(require_valid_mute("known", in_two_years, now), base::Error);
}

} // namespace
} // namespace opsrunbook::health
