#pragma once
// The statements that change a setting where it is set now, and change it back.

#include <string>

#include "observed/server.hpp"

namespace opsrunbook::health {

struct SettingChange {
    std::string fix, undo;
};

// value: as it would stand between quotes.  A setting that a start option, or nothing at all, explains gets
// a comment that says where to change it.
SettingChange change_setting(const observed::Server &server, const std::string &name,
                             const std::string &value);

} // namespace opsrunbook::health
