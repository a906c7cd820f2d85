#pragma once
// What the house remembers of alerts: the users' checks, the mutes, the alert state.

#include <vector>

#include "health/alerting/mutes.hpp"
#include "health/alerting/user_checks.hpp"

namespace opsrunbook::health {

std::vector<UserCheck> read_user_checks(); // by name
UserCheckResult run_user_check(const UserCheck &check);
std::vector<Mute> read_mutes();

// Fills in since when the findings are known.
void add_since(std::vector<Outcome> &outcomes);

Status parse_status(const std::string &text);

} // namespace opsrunbook::health
