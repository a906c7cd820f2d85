#pragma once
// Checks that users added: what may be one, and from the number that its query gave to an outcome.

#include <memory>
#include <optional>
#include <string>

#include "health/check.hpp"

namespace opsrunbook::health {

struct UserCheck {
    std::string name;
    std::string sql;
    std::optional<double> warning, critical;
    Direction direction = Direction::above;
    std::string unit;
    bool in_score = false;
    int64_t timeout_ms = 1000;
    std::string description;
    unsigned role = 0; // whose rights the query has
    std::string search_path;
};

// Refuses a definition that could never work; its query is not looked at here.
void require_valid(const UserCheck &check);
Direction parse_direction(const std::string &text); // above, below; else Error invalid_input

struct UserCheckResult {
    std::optional<double> value;
    std::string problem; // why there is no value
};

// A user's check in the shape of the registry's; the Check points into the definition, so it stays in place.
struct ListedUserCheck {
    explicit ListedUserCheck(UserCheck definition_);
    ListedUserCheck(const ListedUserCheck &) = delete;
    ListedUserCheck &operator=(const ListedUserCheck &) = delete;

    const UserCheck definition;
    const Check check;
};

Outcome outcome_of(const ListedUserCheck &listed, const UserCheckResult &result);

} // namespace opsrunbook::health
