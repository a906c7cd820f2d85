#include "maintenance/weight.hpp"

#include <cmath>

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

using observed::Table;

double heat(int64_t seq_scans, int64_t index_scans)
{
    return 1 + std::log2(1 + static_cast<double>(seq_scans) + static_cast<double>(index_scans) / 1000);
}

double heat(const Table &table)
{
    return heat(table.counters.seq_scans, table.counters.index_scans);
}

double heap_bytes(const Table &table)
{
    const double known = table.relation.pages * page_bytes;
    const double rows = static_cast<double>(table.counters.live_rows + table.counters.dead_rows);
    constexpr double guessed_row = 100; // bytes, for tables whose size the catalogs do not know yet
    return known > 0 ? known : rows * guessed_row;
}

} // namespace opsrunbook::maintenance
