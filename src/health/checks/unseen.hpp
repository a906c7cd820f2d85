#pragma once
// A topic that could not be observed is UNKNOWN, with the reason, never healthy.

#include "health/check.hpp"

namespace opsrunbook::health {

// True when the topic is missing; the judge then knows.
inline bool unseen(const Observations &seen, Judge &judge, const char *topic)
{
    const auto reason = seen.server.unseen.find(topic);
    if (reason == seen.server.unseen.end())
        return false;
    judge.unknown(base::format("%s could not be read: %s", topic, reason->second.c_str()));
    return true;
}

} // namespace opsrunbook::health
