#pragma once
// Mutes: who silenced what, until when and why, and what that does to the checks' outcomes.

#include <optional>
#include <string>
#include <vector>

#include "health/check.hpp"

namespace opsrunbook::health {

struct Mute {
    std::string check;
    std::string object; // a name, or a pattern with '*'
    base::Timestamp until;
    std::string until_text;
    std::string reason;
    std::string set_by;
    Status severity = Status::ok; // the worst that it hid when it was set
};

// Moves what the mutes cover from `findings` to `muted`, an expired mute covers nothing, and adds the
// findings of check mute_hides_worse where that check is among the outcomes.
void apply_mutes(std::vector<Outcome> &outcomes, const std::vector<Mute> &mutes, base::Timestamp now);

// The worst severity of what a mute of this check and object covers, muted already or not.
Status worst_covered(const std::vector<Outcome> &outcomes, const std::string &check,
                     const std::string &object);

// Refuses a mute without a reason, of the past, or for longer than a year.
void require_valid_mute(const std::string &reason, std::optional<base::Timestamp> until, base::Timestamp now);

} // namespace opsrunbook::health
