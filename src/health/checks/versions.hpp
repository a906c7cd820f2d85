#pragma once
// Versions of extensions: by their numbers, not by their letters.

#include <string_view>

namespace opsrunbook::health {

// True when both are dotted numbers and the first is older: 1.9 is older than 1.10.
bool older_version(std::string_view installed, std::string_view available);

} // namespace opsrunbook::health
