#include "maintenance/verification/plan_verification.hpp"

#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "maintenance/weight.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::format;
using observed::Table;

struct Due {
    const Table *table;
    double days; // since it was verified; infinite: never
    bool damaged;
};

std::vector<Due> due_tables(const observed::Relations &relations, const observed::VerifiedTables &verified,
                            int interval_days)
{
    std::vector<Due> due;
    for (const Table &table : relations.tables) {
        // A TOAST table is read with its owner; a temporary table is its session's alone.
        if (table.relation.kind == 't' || table.relation.persistence == 't' ||
            !relations.user_owned(table.relation))
            continue;
        const auto known = verified.find(table.relation.oid);
        if (known == verified.end())
            due.push_back({&table, std::numeric_limits<double>::infinity(), false});
        else if (known->second.damaged || known->second.days >= interval_days)
            due.push_back({&table, known->second.days, known->second.damaged});
    }
    std::stable_sort(due.begin(), due.end(), [](const Due &a, const Due &b) {
        return a.damaged != b.damaged ? a.damaged : a.days > b.days;
    });
    if (due.size() > most_in_a_plan)
        due.resize(most_in_a_plan);
    return due;
}

std::string reason(const Due &due)
{
    if (due.damaged)
        return "damage was found when it was last verified";
    if (due.days == std::numeric_limits<double>::infinity())
        return "never verified";
    return format("last verified %s ago", base::duration_text(due.days * 86400).c_str());
}

struct Indexes {
    double bytes = 0;
    int number = 0;
};

} // namespace

std::vector<PlannedTask> plan_verification(const observed::Relations &relations,
                                           const observed::VerifiedTables &verified, int interval_days)
{
    std::vector<PlannedTask> tasks;
    if (interval_days <= 0)
        return tasks;
    std::unordered_map<uint32_t, Indexes> indexes;
    for (const observed::Index &index : relations.indexes) {
        Indexes &of_table = indexes[index.table];
        of_table.bytes += index.relation.pages * page_bytes;
        ++of_table.number;
    }
    for (const Due &due : due_tables(relations, verified, interval_days)) {
        const Indexes &of_table = indexes[due.table->relation.oid];
        PlannedTask task;
        task.relation = due.table->relation.oid;
        task.object = relations.name(due.table->relation);
        task.command =
            format("SELECT * FROM opsrunbook.verify_table(%s)", base::quote_literal(task.object).c_str());
        task.reason = reason(due);
        task.work.kind = TaskKind::verify;
        task.work.relation = task.relation;
        // The heap is read for itself, and once for each index, which must have all of its rows.
        task.work.heap_bytes = heap_bytes(*due.table) * (1 + of_table.number);
        task.work.index_bytes = of_table.bytes;
        task.benefit = std::max(page_bytes, heap_bytes(*due.table) + of_table.bytes) / interval_days;
        tasks.push_back(std::move(task));
    }
    return tasks;
}

} // namespace opsrunbook::maintenance
