#pragma once
// What the house remembers of alerts: the users' checks, the mutes, the alert state, and since when the
// observations have seen what the server does not say.

#include <vector>

#include "health/alerting/mutes.hpp"
#include "health/alerting/user_checks.hpp"

namespace opsrunbook::health {

std::vector<UserCheck> read_user_checks(); // by name
UserCheckResult run_user_check(const UserCheck &check);
std::vector<Mute> read_mutes();

// Fills in since when the findings are known.
void add_since(std::vector<Outcome> &outcomes);

// Since when nobody has read the slots, where the server does not say so (before 17).
void add_inactivity(observed::Server &server);
// Writes which slots nobody reads; one whose position moved has been read meanwhile.  To be called as the
// owner of the house.
void remember_inactive_slots(const observed::Server &server);

Status parse_status(const std::string &text);

} // namespace opsrunbook::health
