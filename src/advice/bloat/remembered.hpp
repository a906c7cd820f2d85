#pragma once
// What the observations of alerts remember of large relations' bloat, so that a database with more of them
// than one diagnosis has time for is measured in turns.

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "observed/bloat.hpp"

namespace opsrunbook::advice {

// By relation: as it was last measured, seconds_ago; without what is too old to speak for today.
std::unordered_map<uint32_t, observed::Bloat> remembered_bloat();

// Writes what was measured just now, and forgets the relations that are not among them any more.
// To be called as the owner of the house.
void remember_bloat(const std::vector<observed::Bloat> &observed);

} // namespace opsrunbook::advice
