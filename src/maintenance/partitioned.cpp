#include "maintenance/partitioned.hpp"

#include <algorithm>
#include <cmath>

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using observed::Relations;
using observed::Table;

// The counters know all rows once VACUUM or ANALYZE has counted them.  Before that, as after a crash or a
// reset, they know what came and went since, and the catalog what there was.
double rows_of(const Table &table)
{
    const observed::TableCounters &counters = table.counters;
    const base::Timestamp counted = std::max(
        {counters.last_vacuum, counters.last_autovacuum, counters.last_analyze, counters.last_autoanalyze});
    const auto live = static_cast<double>(counters.live_rows);
    return counted.microseconds != 0 ? live : std::max(0.0, static_cast<double>(table.relation.rows)) + live;
}

// Partitioned tables and what their partitions add up to.
class Totals {
public:
    explicit Totals(const Relations &relations)
    {
        for (const observed::Relation &relation : relations.others)
            if (relation.kind == 'p') {
                position.emplace(relation.oid, static_cast<uint32_t>(totals.size()));
                totals.emplace_back().relation = &relation;
            }
        if (totals.empty())
            return;
        for (const Table &table : relations.tables)
            add(table.relation.parent, [&table](StalePartitioned &total) {
                const double rows = rows_of(table);
                constexpr double page_bytes = 8192, guessed_row = 100;
                total.rows += rows;
                total.heap_bytes +=
                    table.relation.pages > 0 ? table.relation.pages * page_bytes : rows * guessed_row;
                total.seq_scans += table.counters.seq_scans;
                total.index_scans += table.counters.index_scans;
                ++total.partitions;
                const base::Timestamp analyzed =
                    std::max(table.counters.last_analyze, table.counters.last_autoanalyze);
                base::Timestamp &first = total.partitions_analyzed;
                if (analyzed.microseconds != 0 && (first.microseconds == 0 || analyzed < first))
                    first = analyzed;
            });
        for (const observed::Relation &relation : relations.others)
            if (relation.kind == 'f') // read by the parent's ANALYZE too; only the catalog has its rows
                add(relation.parent, [&relation](StalePartitioned &total) {
                    total.rows += std::max(0.0, static_cast<double>(relation.rows));
                });
    }

    std::vector<StalePartitioned> totals;

private:
    // To the parent, its parent and so on.
    template <class Add> void add(observed::Oid parent, Add to)
    {
        for (const auto *at = position.find(parent); at != position.end();
             at = position.find(totals[at->second].relation->parent))
            to(totals[at->second]);
    }

    observed::OidMap position; // into totals
};

} // namespace

std::vector<StalePartitioned> stale_partitioned(const Relations &relations,
                                                const AutovacuumSettings &settings)
{
    std::vector<StalePartitioned> totals = Totals(relations).totals;
    std::erase_if(totals, [&](StalePartitioned &total) {
        const observed::Relation &relation = *total.relation;
        if (relation.persistence != 'p' || !relations.user_owned(relation))
            return true;
        const double known = static_cast<double>(relation.rows);
        total.never_analyzed = known < 0;
        if (total.never_analyzed)
            return total.rows <= 0;
        return std::abs(total.rows - known) <=
               settings.analyze_threshold + settings.analyze_scale_factor * known;
    });
    return totals;
}

} // namespace opsrunbook::maintenance
