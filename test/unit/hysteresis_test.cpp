// When alerts fire, escalate and are over; what a listener is told.
#include <gtest/gtest.h>

#include "health/alerting/hysteresis.hpp"
#include "health/alerting/payload.hpp"

namespace opsrunbook::health {
namespace {

SeenAlert seen(Status severity = Status::warning, bool muted = false, const std::string &object = "t")
{
    SeenAlert alert;
    alert.check = "dead_tuples";
    alert.object = object;
    alert.severity = severity;
    alert.message = "t has dead tuples";
    alert.fix = "VACUUM t;";
    alert.muted = muted;
    return alert;
}

// Observations one after the other; a letter each for what was announced: f e c, '.' for nothing.
struct Story {
    AlertRules rules;
    std::vector<AlertState> states = {};
    std::string events = {};

    Story &see(const std::vector<SeenAlert> &alerts,
               const std::set<std::pair<std::string, std::string>> &unmeasured = {})
    {
        AlertDecision decision = decide_alerts(states, {alerts, unmeasured}, rules, "now");
        states = decision.keep;
        events += decision.announcements.empty() ? "." : "";
        for (const Announcement &announcement : decision.announcements)
            events += event_text(announcement.event).front();
        return *this;
    }
    Story &warn() { return see({seen()}); }
    Story &critical() { return see({seen(Status::critical)}); }
    Story &muted(Status severity = Status::warning) { return see({seen(severity, true)}); }
    Story &fine() { return see({}); }
    Story &unknown() { return see({}, {{"dead_tuples", ""}}); }
};

TEST(Hysteresis, FiresAfterSoManyInARow)
{
    EXPECT_EQ((Story{{2, 2}}.warn().warn().warn().events), ".f.");
    EXPECT_EQ((Story{{1, 1}}.warn().fine().events), "fc");
    EXPECT_EQ((Story{{3, 1}}.warn().warn().warn().events), "..f");
}

TEST(Hysteresis, FlappingNeverFires)
{
    Story story{{2, 2}};
    story.warn().fine().warn().fine();
    EXPECT_EQ(story.events, "....");
    EXPECT_TRUE(story.states.empty());
}

TEST(Hysteresis, ClearsAfterSoManyInARow)
{
    EXPECT_EQ((Story{{1, 2}}.warn().fine().warn().fine().fine().events), "f...c");
}

TEST(Hysteresis, WhatCannotBeMeasuredDecidesNothing)
{
    Story story{{1, 1}};
    story.warn().unknown().unknown();
    EXPECT_EQ(story.events, "f..");
    ASSERT_EQ(story.states.size(), 1u);
    EXPECT_EQ(story.fine().events, "f..c");
    EXPECT_EQ((Story{{2, 1}}.warn().unknown().warn().events), "..f");
}

TEST(Hysteresis, WhatCannotBeMeasuredOfOneObjectLeavesTheOthers)
{
    Story story{{1, 1}};
    story.see({seen(Status::warning, false, "locked"), seen(Status::warning, false, "cleaned")});
    EXPECT_EQ(story.see({}, {{"dead_tuples", "locked"}, {"dead_tuples", "another"}}).events, "ffc");
    ASSERT_EQ(story.states.size(), 1u);
    EXPECT_EQ(story.states.front().object, "locked");
    EXPECT_EQ(story.see({}, {{"bloat", "locked"}}).events, "ffcc") << "of another check";
}

TEST(Hysteresis, AnObservationSaysOfWhichObjectsItKnowsNothing)
{
    const Check check = {.id = "bloat", .title = "", .category = Category::storage, .points = 1};
    const Thresholds thresholds;
    Judge judge(check, thresholds);
    judge.found(Status::unknown, "a", "locked");
    judge.found(Status::critical, "b", "wasted");
    judge.unknown("no time for two", {"c", "d"});
    const Observation some = observation_of({{&check, Status::critical, judge.findings, ""}});
    EXPECT_EQ(some.unmeasured, (std::set<std::pair<std::string, std::string>>{
                                   {"bloat", "a"}, {"bloat", "c"}, {"bloat", "d"}}));
    ASSERT_EQ(some.seen.size(), 1u);
    EXPECT_EQ(some.seen.front().object, "b");
    Judge nothing(check, thresholds);
    nothing.unknown("no rights");
    EXPECT_TRUE(
        observation_of({{&check, Status::unknown, nothing.findings, ""}}).unmeasured.contains({"bloat", ""}));
}

TEST(Hysteresis, EscalatesOnceAndOnlyWhenItStaysCritical)
{
    EXPECT_EQ((Story{{2, 2}}.warn().warn().critical().warn().critical().critical().critical().events),
              ".f...e.");
    Story story{{2, 2}};
    EXPECT_EQ(story.warn().critical().critical().events, ".f."); // fired as CRITICAL at once
    EXPECT_EQ(story.states.front().severity, Status::critical);
}

TEST(Hysteresis, MutedProblemsAreFollowedInSilence)
{
    EXPECT_EQ((Story{{1, 1}}.muted().muted().fine().events), "...");
    EXPECT_EQ((Story{{2, 1}}.muted().muted().warn().events), "..f"); // announced when the mute ends
    EXPECT_EQ((Story{{1, 1}}.warn().muted(Status::critical).critical().events), "f.e");
    EXPECT_EQ((Story{{1, 1}}.warn().muted().fine().events), "f.c"); // what was announced is called off
}

TEST(Hysteresis, OneStateForEachObject)
{
    Story story{{1, 1}};
    story.see({seen(Status::warning, false, "a"), seen(Status::warning, false, "b"),
               seen(Status::critical, false, "b")});
    ASSERT_EQ(story.states.size(), 2u);
    EXPECT_EQ(story.states[1].severity, Status::critical);
    EXPECT_EQ(story.see({seen(Status::warning, false, "a")}).events, "ffc");
}

TEST(Hysteresis, SinceIsTheFirstObservation)
{
    const AlertDecision first = decide_alerts({}, {{seen()}, {}}, {2, 2}, "monday");
    const AlertDecision second = decide_alerts(first.keep, {{seen()}, {}}, {2, 2}, "tuesday");
    ASSERT_EQ(second.announcements.size(), 1u);
    EXPECT_EQ(second.announcements.front().state.since, "monday");
    EXPECT_EQ(second.count(AlertEvent::fired), 1);
    EXPECT_EQ(second.count(AlertEvent::cleared), 0);
}

TEST(Payload, SaysWhatAndWhatToDo)
{
    AlertDecision decision = decide_alerts({}, {{seen()}, {}}, {1, 1}, "monday");
    EXPECT_EQ(alert_payload(decision.announcements.front()),
              R"({"event": "fired", "check": "dead_tuples", "severity": "WARNING", "object": "t", )"
              R"("message": "t has dead tuples", "value": null, "threshold": null, "since": "monday", )"
              R"("fix": "VACUUM t;"})");
}

TEST(Payload, FitsTheServersLimit)
{
    for (const std::string &filling : {std::string("x"), std::string("\u00e4"), std::string("\"")}) {
        std::string text;
        for (int i = 0; i < 20000; ++i)
            text += filling;
        SeenAlert alert = seen();
        alert.message = alert.fix = alert.object = alert.check = text;
        const AlertDecision decision = decide_alerts({}, {{alert}, {}}, {1, 1}, "monday");
        const std::string payload = alert_payload(decision.announcements.front());
        EXPECT_LT(payload.size(), 8000u);
        EXPECT_NE(payload.find(R"("fix": null)"), std::string::npos);
    }
}

} // namespace
} // namespace opsrunbook::health
