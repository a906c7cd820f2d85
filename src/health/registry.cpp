#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

std::vector<const Check *> all_checks()
{
    std::vector<const Check *> all;
    for (const std::span<const Check> &table :
         {wraparound_checks(),  vacuum_checks(),         locks_checks(),
          connections_checks(), sessions_checks(),       performance_checks(),
          slru_checks(),        update_checks(),         statements_checks(),
          indexes_checks(),     storage_checks(),        space_checks(),
          replication_checks(), slot_checks(),           wal_checks(),
          archiving_checks(),   integrity_checks(),      configuration_checks(),
          privilege_checks(),   memory_checks(),         bloat_checks(),
          job_checks(),         backup_checks(),         verification_checks(),
          mute_checks(),        vacuum_progress_checks()})
        for (const Check &check : table)
            all.push_back(&check);
    return all;
}

} // namespace

std::span<const Check *const> registry()
{
    static const std::vector<const Check *> *const all = new std::vector<const Check *>(all_checks());
    return *all;
}

} // namespace opsrunbook::health
