// The mutes themselves: silence about something that got worse is worth a word.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

// What mutes hide is known when all the other checks have spoken: alerting/mutes.cpp adds the findings.
void mute_hides_worse(const Observations &, Judge &judge)
{
    judge.fine("no mute hides anything worse than when it was set");
}

constexpr Check checks[] = {
    {
        .id = "mute_hides_worse",
        .title = "mutes that hide something worse than when they were set",
        .category = Category::configuration,
        .points = 10,
        .explanation =
            "An alert was muted when it was a WARNING or not there yet, and what the mute hides is "
            "CRITICAL now: whoever muted it did not know that.",
        .source = "opsrunbook.mutes.severity against the severity of the findings that the mute hides",
        .evaluate = mute_hides_worse,
    },
};

} // namespace

std::span<const Check> mute_checks()
{
    return checks;
}

} // namespace opsrunbook::health
