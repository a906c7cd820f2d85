// Cache, statements, temporary files, deadlocks and rollbacks.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

std::span<const Check> performance_checks()
{
    return {};
}

} // namespace opsrunbook::health
