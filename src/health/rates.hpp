#pragma once
// Rates from counters that run since a reset.

#include <algorithm>
#include <optional>

#include "observed/server.hpp"

namespace opsrunbook::health {

constexpr double shortest_window = 600; // seconds; what happened in less says nothing about the usual

constexpr double an_hour = 3600, a_day = 86400;

// How many a unit of time.  Nothing when the window is unknown or too short to tell; a window shorter than
// the unit is not extrapolated, so three in twenty minutes are three a day until more is known.
inline std::optional<double> rate(double count, std::optional<double> window_seconds, double unit_seconds)
{
    if (!window_seconds || *window_seconds < shortest_window)
        return std::nullopt;
    return count * unit_seconds / std::max(*window_seconds, unit_seconds);
}

} // namespace opsrunbook::health
