#pragma once
// synchronous_standby_names, as the server's own parser reads it (syncrep_gram.y).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsrunbook::health {

struct SynchronousNames {
    bool any = false; // a quorum (ANY n); else by priority (FIRST n, n, or a plain list, which is FIRST 1)
    int required = 0; // 0: the setting is empty, nothing is waited for
    std::vector<std::string> names; // "*" stands for every standby

    bool names_standby(std::string_view application_name) const; // letter case does not count
};

std::optional<SynchronousNames> parse_synchronous_names(std::string_view text); // nothing: malformed

} // namespace opsrunbook::health
