#include "maintenance/weight.hpp"

#include <algorithm>

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

using observed::Table;

double heap_bytes(const Table &table)
{
    const double known = table.relation.pages * page_bytes;
    const double rows = static_cast<double>(table.counters.live_rows + table.counters.dead_rows);
    constexpr double guessed_row = 100; // bytes, for tables whose size the catalogs do not know yet
    return known > 0 ? known : rows * guessed_row;
}

Reading::Reading(const observed::Server &server) : days(1)
{
    constexpr double day = 86400;
    if (const observed::Database *database = server.current_database())
        days = std::max(1.0, server.counted_seconds(*database).value_or(0) / day);
}

double Reading::bytes_a_day(double bytes, int64_t seq_scans, int64_t index_scans) const
{
    return bytes * (1 + static_cast<double>(seq_scans) / days) +
           page_bytes * static_cast<double>(index_scans) / days;
}

double Reading::bytes_a_day(const Table &table) const
{
    return bytes_a_day(heap_bytes(table), table.counters.seq_scans, table.counters.index_scans);
}

} // namespace opsrunbook::maintenance
