#pragma once
// The tables of checks, one a category's file.

#include "health/check.hpp"

namespace opsrunbook::health {

std::span<const Check> wraparound_checks();
std::span<const Check> vacuum_checks();

} // namespace opsrunbook::health
