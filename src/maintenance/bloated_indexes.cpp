#include "maintenance/bloated_indexes.hpp"

#include <algorithm>
#include <chrono>

#include "advice/bloat/measure.hpp"
#include "advice/bloat/triage.hpp"
#include "advice/indexes/identity.hpp"
#include "observed/pages.hpp"
#include "pg/catalog/relations.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using observed::Table;

constexpr uint64_t smallest_pages = 128; // 1 MB
constexpr int64_t rows_of_a_page = 400;  // of a btree of integers; no index holds more
constexpr auto time_to_measure = std::chrono::seconds(2);

constexpr double worth_a_look = 0.1;

// Rows that went away leave holes in the index; those that only came do not.  A crash takes the counters
// along: a table without any may have lost rows like another.
double wear(const Table &table)
{
    if (table.counters.inserted + table.counters.updated + table.counters.deleted == 0)
        return worth_a_look;
    const double rows = std::max<double>(1, static_cast<double>(table.counters.live_rows));
    return static_cast<double>(table.counters.deleted + table.counters.updated - table.counters.hot_updated) /
           rows;
}

uint64_t pages_of(const observed::Index &index, const Table &table)
{
    const auto known = static_cast<uint64_t>(index.relation.pages);
    // relpages is of the last VACUUM or ANALYZE.  A file is only asked where it can have grown large since.
    const int64_t since = table.counters.modified_since_analyze + table.counters.inserted_since_vacuum;
    if (known >= smallest_pages || since < static_cast<int64_t>(smallest_pages) * rows_of_a_page)
        return known;
    return static_cast<uint64_t>(pg::relation_file_bytes(index.relation) / observed::page_bytes);
}

} // namespace

std::vector<observed::Bloat> measure_worn_indexes(const observed::Relations &relations)
{
    std::vector<advice::Candidate> candidates;
    for (const observed::Index &index : relations.indexes) {
        const Table *table = relations.table(index);
        if (!table || index.relation.kind != 'i' || index.relation.access_method != advice::btree_method ||
            index.relation.persistence == 't' || !index.valid || !index.ready || !index.live ||
            !advice::user_index(relations, index))
            continue;
        const double worn = wear(*table);
        if (worn < worth_a_look)
            continue;
        const uint64_t pages = pages_of(index, *table);
        if (pages >= smallest_pages)
            candidates.push_back({index.relation.oid, pages, 1 + std::min(worn, 10.0)});
    }
    advice::Triage triage;
    triage.budget = 20000;
    triage.smallest = smallest_pages;
    triage.most = 1000;
    const std::vector<uint64_t> allotted = advice::allot(candidates, triage);
    const auto end = std::chrono::steady_clock::now() + time_to_measure;
    std::vector<observed::Bloat> measured;
    for (size_t i = 0; i < candidates.size() && std::chrono::steady_clock::now() < end; ++i)
        if (allotted[i] > 0)
            measured.push_back(
                advice::measure_bloat(candidates[i].relation, advice::SamplingLimits().within(allotted[i])));
    return measured;
}

} // namespace opsrunbook::maintenance
