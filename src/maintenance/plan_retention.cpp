#include "maintenance/plan_retention.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "maintenance/weight.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

void plan_retention(const observed::Relations &relations, const observed::Server &server,
                    const std::vector<ExpiredRows> &expired, std::vector<PlannedTask> &tasks)
{
    const Reading reading(server);
    for (const ExpiredRows &one : expired) {
        if (one.share <= 0)
            continue;
        PlannedTask task;
        task.relation = one.relation;
        task.object = one.table;
        task.command = base::format("SELECT * FROM opsrunbook.apply_retention(%s)",
                                    base::quote_literal(one.table).c_str());
        task.reason = base::format("about %.3g %% of its rows are older than its retention policy keeps (%s)",
                                   100 * one.share, one.keep.c_str());
        task.work.kind = TaskKind::retention_delete;
        task.work.relation = one.relation;
        // It fails at once and says why, so that somebody sees it; it takes no time of the window.
        if (!one.problem.empty()) {
            task.reason = "its retention policy is not applied: " + one.problem;
            tasks.push_back(std::move(task));
            continue;
        }
        // The sizes of a partitioned table's parts are not added up: whole partitions go in no time.
        task.benefit = page_bytes;
        if (const observed::Table *table = relations.table(one.relation)) {
            task.work.heap_bytes = heap_bytes(*table);
            task.work.heap_bytes_to_scan = std::max(page_bytes, task.work.heap_bytes * one.share);
            task.benefit = std::max(page_bytes, reading.bytes_a_day(*table) * one.share);
        }
        tasks.push_back(std::move(task));
    }
}

} // namespace opsrunbook::maintenance
