// Indexes that are broken, doubled, missing under a foreign key, or never used.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

std::span<const Check> indexes_checks()
{
    return {};
}

} // namespace opsrunbook::health
