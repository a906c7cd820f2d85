#include "maintenance/plan_indexes.hpp"

#include <algorithm>
#include <unordered_map>

#include "base/text.hpp"
#include "maintenance/weight.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::format;
using observed::Relations;
using observed::Table;

// As the check index_bloat warns; the lower end of the interval must be above it, so that chance rebuilds
// nothing.
constexpr double bloat_worth_rebuilding_pct = 30;
constexpr int64_t bytes_worth_rebuilding = 1 << 20;

// An index that REINDEX CONCURRENTLY left behind: its name with _ccnew or _ccold and perhaps a number, on the
// same table as an index of that name.  Nothing else proves that it is nobody's own.  The server cuts a long
// name to make room for the suffix within 63 bytes, and leaves characters of up to four bytes whole.
bool is_leftover(const Relations &relations, const observed::Index &index, const std::string &name)
{
    const size_t at = std::max(name.rfind("_ccnew") == std::string::npos ? 0 : name.rfind("_ccnew"),
                               name.rfind("_ccold") == std::string::npos ? 0 : name.rfind("_ccold"));
    if (at == 0 || !std::all_of(name.begin() + static_cast<ptrdiff_t>(at) + 6, name.end(),
                                [](char c) { return c >= '0' && c <= '9'; }))
        return false;
    const std::string original = name.substr(0, at);
    constexpr size_t longest_name = 63, longest_character = 4;
    const bool cut = name.size() > longest_name - longest_character;
    return std::any_of(relations.indexes.begin(), relations.indexes.end(), [&](const observed::Index &other) {
        const std::string_view sibling = other.relation.name;
        return other.table == index.table && other.relation.oid != index.relation.oid &&
               (sibling == original || (cut && sibling.starts_with(original)));
    });
}

// The copy is built beside the index, so there must be room for it, whichever file system it lies on.
bool room_for(const observed::Server &server, double bytes)
{
    return std::all_of(server.volumes.begin(), server.volumes.end(), [bytes](const observed::Volume &volume) {
        return static_cast<double>(volume.free_bytes) > 2 * bytes;
    });
}

bool worth_rebuilding(const observed::Bloat &bloat)
{
    return bloat.measured() && bloat.low_pct >= bloat_worth_rebuilding_pct &&
           bloat.wasted_bytes() >= bytes_worth_rebuilding;
}

// What all tasks about indexes have in common.  They wait for every snapshot, so nobody with one may wait for
// them.
PlannedTask index_task(const Relations &relations, const observed::Index &index, const Table &table)
{
    PlannedTask task;
    task.relation = index.table;
    task.object = relations.name(index.relation);
    task.background = true;
    task.work.kind = TaskKind::reindex;
    task.work.relation = index.relation.oid;
    task.work.heap_bytes = heap_bytes(table);
    task.work.index_bytes = index.relation.pages * page_bytes;
    task.command = "REINDEX INDEX CONCURRENTLY " + task.object;
    return task;
}

PlannedTask broken_index_task(const Relations &relations, const Reading &reading,
                              const observed::Index &index, const Table &table)
{
    PlannedTask task = index_task(relations, index, table);
    task.reason = "invalid: every write maintains it, no query uses it";
    if (is_leftover(relations, index, index.relation.name)) {
        task.work.kind = TaskKind::drop_leftover;
        task.command = "DROP INDEX CONCURRENTLY " + task.object;
        task.reason = "left behind by an interrupted REINDEX CONCURRENTLY";
    }
    constexpr double missed_share = 0.25; // of what is read of the table, for want of the index
    task.benefit = std::max(page_bytes, task.work.index_bytes + reading.bytes_a_day(table) * missed_share);
    return task;
}

PlannedTask bloated_index_task(const Relations &relations, const Reading &reading,
                               const observed::Index &index, const Table &table, const observed::Bloat &bloat)
{
    PlannedTask task = index_task(relations, index, table);
    task.work.index_bytes = static_cast<double>(bloat.bytes - bloat.wasted_bytes());
    task.reason =
        format("%.0f %% of its %s are waste (%.0f to %.0f %%, %s)", bloat.pct,
               base::size_text(bloat.bytes).c_str(), bloat.low_pct, bloat.high_pct, bloat.method.c_str());
    task.benefit = reading.bytes_a_day(static_cast<double>(bloat.bytes), 0, index.scans) *
                   std::min(1.0, bloat.pct / 100);
    return task;
}

} // namespace

void plan_indexes(const Relations &relations, const observed::Server &server,
                  const std::vector<observed::Bloat> &index_bloat, std::vector<PlannedTask> &tasks)
{
    const Reading reading(server);
    std::unordered_map<uint32_t, const observed::Bloat *> bloat_of;
    for (const observed::Bloat &bloat : index_bloat)
        bloat_of.emplace(bloat.relation, &bloat);
    for (const observed::Index &index : relations.indexes) {
        const Table *table = relations.table(index);
        const auto &busy = server.tables_being_indexed;
        if (index.relation.kind != 'i' || !table || !relations.user_owned(table->relation) || index.in_work ||
            std::find(busy.begin(), busy.end(), index.table) != busy.end())
            continue;
        if (!index.valid || !index.ready || !index.live) {
            tasks.push_back(broken_index_task(relations, reading, index, *table));
            continue;
        }
        // The server cannot rebuild the index of an exclusion constraint concurrently.
        const auto bloat = bloat_of.find(index.relation.oid);
        if (bloat != bloat_of.end() && !index.exclusion && worth_rebuilding(*bloat->second) &&
            room_for(server, static_cast<double>(bloat->second->bytes)))
            tasks.push_back(bloated_index_task(relations, reading, index, *table, *bloat->second));
    }
}

} // namespace opsrunbook::maintenance
