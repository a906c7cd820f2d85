// Archiving, checkpoints and WAL volume.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

std::span<const Check> wal_checks()
{
    return {};
}

} // namespace opsrunbook::health
