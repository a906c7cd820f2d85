// Room: database size, counters that run out, tables whose shape loses data or blocks replication.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

std::span<const Check> storage_checks()
{
    return {};
}

} // namespace opsrunbook::health
