// Settings that are dangerous, broken or not yet in force.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

std::span<const Check> configuration_checks()
{
    return {};
}

} // namespace opsrunbook::health
