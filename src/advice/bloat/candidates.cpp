#include "advice/bloat/candidates.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <unordered_map>

#include "advice/bloat/measure.hpp"
#include "advice/bloat/remembered.hpp"
#include "base/text.hpp"
#include "observed/pages.hpp"
#include "pg/catalog/relations.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

constexpr observed::Oid btree = 403; // pg_am's, fixed

using observed::Bloat;
using observed::Relation;
using observed::Relations;
using observed::Table;

bool changed(const Table &table)
{
    return table.relation.rows < 0 || table.counters.modified_since_analyze > 0 ||
           table.counters.inserted_since_vacuum > 0;
}

// As the catalogs have it, or from the file where they are behind.
uint64_t pages_of(const Relation &relation, bool stale)
{
    return stale ? static_cast<uint64_t>(pg::relation_file_bytes(relation) / observed::page_bytes)
                 : static_cast<uint64_t>(relation.pages);
}

bool temporary(const Relations &relations, const Relation &relation)
{
    const observed::Schema *schema = relations.schema(relation.schema);
    return schema == nullptr || schema->temporary;
}

// Rows that changed since the relation was last brought in order make it more urgent.
double suspicion_of(const Table &table)
{
    const double rows = std::max<double>(1, static_cast<double>(table.counters.live_rows));
    const double changes = static_cast<double>(table.counters.updated + table.counters.deleted);
    return 1 + std::min(1.0, changes / rows) +
           std::min(1.0, static_cast<double>(table.counters.dead_rows) / rows);
}

Candidate candidate(const Relation &relation, bool stale, const Table &table)
{
    return {relation.oid, pages_of(relation, stale), suspicion_of(table), 0};
}

} // namespace

Candidates<Table> table_candidates(const Relations &relations, const Triage &triage)
{
    Candidates<Table> found;
    for (const Table &table : relations.tables) {
        const Relation &relation = table.relation;
        if (!relations.user_owned(relation) || temporary(relations, relation))
            continue;
        // Nobody analyzes a TOAST table: its file tells its size.  Every text column has one, mostly empty.
        const bool toast = relation.kind == 't';
        const bool stale = changed(table) || (toast && (relation.pages > 0 || table.counters.inserted > 0));
        const Candidate one = candidate(relation, stale, table);
        if (toast && one.pages < triage.smallest)
            continue;
        found.list.push_back(one);
        found.items.push_back(&table);
    }
    return found;
}

Candidates<observed::Index> index_candidates(const Relations &relations)
{
    Candidates<observed::Index> found;
    for (const observed::Index &index : relations.indexes) {
        const Table *table = relations.table(index);
        if (!table || table->relation.kind == 't' || index.relation.kind != 'i' ||
            !relations.user_owned(index.relation) || temporary(relations, index.relation))
            continue;
        found.list.push_back(candidate(index.relation, changed(*table), *table));
        found.items.push_back(&index);
    }
    return found;
}

std::vector<Bloat> measure_all(const std::vector<Candidate> &candidates, const Triage &triage)
{
    const std::vector<uint64_t> allotted = allot(candidates, triage);
    std::vector<Bloat> measured;
    measured.reserve(candidates.size());
    for (size_t i = 0; i < candidates.size(); ++i) {
        if (allotted[i] > 0) {
            measured.push_back(measure_bloat(candidates[i].relation, SamplingLimits().within(allotted[i])));
            continue;
        }
        Bloat &bloat = measured.emplace_back();
        bloat.relation = candidates[i].relation;
        bloat.bytes = static_cast<int64_t>(candidates[i].pages) * observed::page_bytes;
        bloat.confidence = "withheld";
        bloat.unmeasured =
            candidates[i].pages < triage.smallest
                ? "smaller than 64 kB: nothing to gain"
                : base::format("the budget of %s went to larger relations",
                               base::plural(static_cast<int64_t>(triage.budget), "page").c_str());
    }
    return measured;
}

std::vector<Bloat> observe_bloat(const Relations &relations)
{
    constexpr uint64_t large = 131072; // pages: 1 GB
    constexpr int64_t many =
        1000000; // rows, without which a file is not looked at: it would be a stat() each
    Triage triage;
    triage.budget = 8000;
    triage.least = 50;
    triage.most = 500;
    std::vector<Candidate> candidates;
    std::vector<Bloat> observed; // one for each candidate
    const auto add = [&](const Relation &relation, const Table &table, bool index) {
        if (!relations.user_owned(relation) || temporary(relations, relation))
            return;
        const bool stale = changed(table) && table.counters.live_rows + table.counters.dead_rows >= many;
        if (const Candidate one = candidate(relation, stale, table); one.pages >= large) {
            candidates.push_back(one);
            Bloat &bloat = observed.emplace_back();
            bloat.relation = relation.oid;
            bloat.file = relation.filenode;
            bloat.index = index;
        }
    };
    for (const Table &table : relations.tables)
        if (table.relation.pages >= static_cast<int64_t>(large) ||
            table.counters.live_rows + table.counters.dead_rows >= many)
            add(table.relation, table, false);
    for (const observed::Index &index : relations.indexes)
        if (const Table *table = relations.table(index);
            table && index.relation.kind == 'i' && index.valid && index.relation.access_method == btree)
            add(index.relation, *table, true);
    if (candidates.empty())
        return observed;
    const std::unordered_map<uint32_t, Bloat> remembered = remembered_bloat();
    for (size_t i = 0; i < candidates.size(); ++i) {
        const auto last = remembered.find(candidates[i].relation);
        const bool known = last != remembered.end() && last->second.file == observed[i].file;
        candidates[i].waited_seconds =
            known ? last->second.seconds_ago.value_or(0) : std::numeric_limits<double>::infinity();
        if (known)
            observed[i] = last->second;
        else {
            observed[i].out_of_budget = true;
            observed[i].unmeasured = "the time for sampling was used up";
            observed[i].confidence = "withheld";
        }
    }
    const std::vector<uint64_t> allotted = allot(candidates, triage);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    for (const size_t i : by_urgency(candidates)) {
        if (std::chrono::steady_clock::now() >= end)
            break;
        if (allotted[i] == 0)
            continue;
        SamplingLimits limits = SamplingLimits().within(allotted[i]);
        limits.half_width = 2;
        limits.first_look = std::min<uint64_t>(limits.first_look, 100);
        limits.looked_up = 500;
        Bloat bloat = measure_bloat(candidates[i].relation, limits);
        bloat.index = observed[i].index;
        bloat.file = observed[i].file;
        observed[i] = std::move(bloat);
    }
    return observed;
}

} // namespace opsrunbook::advice
