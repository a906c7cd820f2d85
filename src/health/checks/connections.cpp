// Room for connections, and sessions that sit on resources.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

std::span<const Check> connections_checks()
{
    return {};
}

} // namespace opsrunbook::health
