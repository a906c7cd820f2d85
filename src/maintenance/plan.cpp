#include "maintenance/plan.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/text.hpp"
#include "maintenance/partitioned.hpp"
#include "maintenance/plan_indexes.hpp"
#include "maintenance/plan_retention.hpp"
#include "maintenance/weight.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::count_text;
using base::format;
using observed::Relations;
using observed::Table;

constexpr double sample_rows = 300 * 100; // of ANALYZE with the default statistics target
// A run that somebody asked for also cleans what autovacuum would leave alone for now: tables with one dead
// row in a hundred, and small ones with any.
constexpr double dead_share_worth_cleaning = 0.01;
constexpr int32_t pages_cleaned_for_any_dead_row = 1024;
// What plans made with stale statistics read too much, of what is read of the table, if all of it changed.
constexpr double misled_share = 0.25;
// Freezing ignores windows when an eighth of the distance to the forced stop is used up beyond where
// autovacuum starts by itself.  Of multixacts there are as many as of transaction ids.
constexpr double emergency_age = 0.25 * 2147483648.0;

// What a table and its TOAST table need together: VACUUM takes both.
struct Need {
    const Table *table = nullptr;
    TableNeeds own;
    int64_t dead = 0;
    bool dead_worth_it = false;
    bool freeze = false;
    bool inserts = false;
    bool emergency = false;
    int32_t xid_age = 0, mxid_age = 0; // the greatest that is due for freezing; 0: none
};

void join(Need &need, const Table &part, const TableNeeds &needs)
{
    const double rows = static_cast<double>(part.counters.live_rows + part.counters.dead_rows);
    const auto dead = static_cast<double>(part.counters.dead_rows);
    need.dead += part.counters.dead_rows;
    need.dead_worth_it = need.dead_worth_it || needs.vacuum_dead ||
                         (dead > 0 && dead >= rows * dead_share_worth_cleaning) ||
                         (dead > 0 && part.relation.pages <= pages_cleaned_for_any_dead_row);
    need.freeze = need.freeze || needs.vacuum_freeze;
    need.inserts = need.inserts || needs.vacuum_inserts;
    if (needs.freeze_xids)
        need.xid_age = std::max(need.xid_age, part.relation.xid_age);
    if (needs.freeze_multixacts)
        need.mxid_age = std::max(need.mxid_age, part.relation.mxid_age);
    need.emergency = std::max(need.xid_age, need.mxid_age) > emergency_age;
}

Work work_of(TaskKind kind, const Table &table, double index_bytes)
{
    Work work;
    work.kind = kind;
    work.relation = table.relation.oid;
    work.heap_bytes = heap_bytes(table);
    // What the catalog counted at the last VACUUM; each row that died since may have spoilt one.  FREEZE
    // reads the pages all-visible too, but not those all-frozen, which are counted from 18.
    const double passed_over = std::min(kind == TaskKind::vacuum_freeze ? table.relation.all_frozen_pages
                                                                        : table.relation.all_visible_pages,
                                        table.relation.pages) -
                               static_cast<double>(table.counters.dead_rows);
    work.heap_bytes_to_scan = std::max(page_bytes, work.heap_bytes - std::max(0.0, passed_over) * page_bytes);
    work.index_bytes = index_bytes;
    work.dead_rows = static_cast<double>(table.counters.dead_rows);
    return work;
}

std::string vacuum_reason(const Need &need)
{
    std::vector<std::string> reasons;
    if (need.xid_age > 0)
        reasons.push_back(
            format("its oldest transaction is %s transactions old", count_text(need.xid_age).c_str()));
    if (need.mxid_age > 0)
        reasons.push_back(
            format("its oldest multixact is %s multixacts old", count_text(need.mxid_age).c_str()));
    if (need.dead_worth_it)
        reasons.push_back(base::plural(need.dead, "dead row"));
    if (need.inserts)
        reasons.push_back(format("%s inserted since the last VACUUM",
                                 base::plural(need.table->counters.inserted_since_vacuum, "row").c_str()));
    return base::join(reasons, ", ");
}

std::string analyze_reason(const Need &need)
{
    if (need.own.never_analyzed)
        return "never analyzed";
    return format("%s changed since the last ANALYZE",
                  base::plural(need.table->counters.modified_since_analyze, "row").c_str());
}

PlannedTask table_task(const Relations &relations, const Reading &reading, const Need &need,
                       double index_bytes, bool vacuum, bool analyze)
{
    const Table &table = *need.table;
    PlannedTask task;
    task.relation = table.relation.oid;
    task.object = relations.name(table.relation);
    const TaskKind kind = !vacuum       ? TaskKind::analyze
                          : need.freeze ? TaskKind::vacuum_freeze
                                        : TaskKind::vacuum;
    task.work = work_of(kind, table, index_bytes);
    if (analyze)
        task.work.sample_rows = sample_rows;
    std::vector<std::string> options, reasons;
    if (vacuum) {
        if (need.freeze)
            options.emplace_back("FREEZE");
        if (analyze)
            options.emplace_back("ANALYZE");
        // In an emergency only the age counts: the indexes can wait (as vacuum_failsafe_age does it).
        if (need.emergency)
            options.emplace_back("INDEX_CLEANUP off");
        reasons.push_back(vacuum_reason(need));
    }
    if (analyze)
        reasons.push_back(analyze_reason(need));
    task.command =
        vacuum ? "VACUUM " + (options.empty() ? "" : "(" + base::join(options, ", ") + ") ") + task.object
               : "ANALYZE " + task.object;
    task.reason = base::join(reasons, "; ");
    task.emergency = need.emergency;

    const double rows =
        std::max(1.0, static_cast<double>(table.counters.live_rows + table.counters.dead_rows));
    const double read = reading.bytes_a_day(table);
    if (vacuum)
        task.benefit += std::max(page_bytes, read * std::min(1.0, static_cast<double>(need.dead) / rows));
    if (vacuum &&
        (need.inserts || need.freeze)) // pages not yet all-visible: index-only scans and freezing read them
        task.benefit += task.work.heap_bytes_to_scan / 4;
    if (analyze) {
        const double changed =
            need.own.never_analyzed
                ? 1
                : std::min(1.0, static_cast<double>(table.counters.modified_since_analyze) / rows);
        task.benefit += std::max(page_bytes, read * changed * misled_share);
    }
    return task;
}

std::unordered_map<uint32_t, double> index_bytes_by_table(const Relations &relations)
{
    std::unordered_map<uint32_t, double> bytes;
    for (const observed::Index &index : relations.indexes)
        bytes[index.table] += index.relation.pages * page_bytes;
    return bytes;
}

void plan_tables(const Relations &relations, const observed::Server &server, TaskFilter filter,
                 std::vector<PlannedTask> &tasks)
{
    const AutovacuumSettings settings = autovacuum_settings(server);
    const Reading reading(server);
    const auto index_bytes = index_bytes_by_table(relations);
    for (const Table &table : relations.tables) {
        if (table.relation.kind == 't' || table.relation.persistence == 't' ||
            !relations.user_owned(table.relation))
            continue;
        Need need;
        need.table = &table;
        need.own = needs_of(table, relations, settings);
        join(need, table, need.own);
        if (const Table *toast = relations.table(table.relation.toast))
            join(need, *toast, needs_of(*toast, relations, settings));
        const bool vacuum =
            filter == TaskFilter::everything && (need.dead_worth_it || need.freeze || need.inserts);
        const bool analyze = need.own.analyze || need.own.never_analyzed;
        if (!vacuum && !analyze)
            continue;
        const auto bytes = index_bytes.find(table.relation.oid);
        tasks.push_back(table_task(relations, reading, need, bytes == index_bytes.end() ? 0 : bytes->second,
                                   vacuum, analyze));
    }
}

void plan_partitioned(const Relations &relations, const observed::Server &server,
                      std::vector<PlannedTask> &tasks)
{
    // Before 18, ANALYZE of a partitioned table analyzes each partition as well.
    const bool only = server.version >= 180000;
    const Reading reading(server);
    for (const StalePartitioned &stale : stale_partitioned(relations, autovacuum_settings(server))) {
        PlannedTask task;
        task.relation = stale.relation->oid;
        task.object = relations.name(*stale.relation);
        task.command = (only ? "ANALYZE ONLY " : "ANALYZE ") + task.object;
        const std::string holds =
            format("its partitions hold %s", base::plural(std::llround(stale.rows), "row").c_str());
        task.reason =
            stale.never_analyzed
                ? "never analyzed as a whole, " + holds + "; autovacuum leaves it to you"
                : holds + format(", %s when it was last analyzed as a whole; autovacuum leaves it to you",
                                 count_text(std::llround(stale.relation->rows)).c_str());
        task.work.kind = TaskKind::analyze;
        task.work.relation = task.relation;
        task.work.heap_bytes = stale.heap_bytes * (only ? 1 : 2);
        task.work.sample_rows = sample_rows * (only ? 1 : 1 + stale.partitions);
        const double changed =
            stale.never_analyzed
                ? 1
                : std::min(1.0, std::abs(stale.rows - static_cast<double>(stale.relation->rows)) /
                                    std::max(1.0, stale.rows));
        const double read = reading.bytes_a_day(stale.heap_bytes, stale.seq_scans, stale.index_scans);
        task.benefit = std::max(page_bytes, read * changed * misled_share);
        tasks.push_back(std::move(task));
    }
}

// Temporary tables whose session is gone: nobody can read them, and nothing but dropping stops their ageing.
void plan_orphans(const Relations &relations, std::vector<PlannedTask> &tasks)
{
    for (const Table &table : relations.tables) {
        if (table.relation.persistence != 't' || table.relation.kind == 't')
            continue;
        const observed::Schema *schema = relations.schema(table.relation.schema);
        if (!schema || !schema->abandoned)
            continue;
        PlannedTask task;
        task.relation = table.relation.oid;
        task.object = relations.name(table.relation);
        task.command = "DROP TABLE " + task.object;
        task.reason = "temporary, and its session is gone; its transaction ids age, and nothing freezes them";
        task.work.kind = TaskKind::drop_orphan;
        task.work.relation = task.relation;
        task.work.heap_bytes = heap_bytes(table);
        task.benefit = std::max(page_bytes, heap_bytes(table));
        tasks.push_back(std::move(task));
    }
}

} // namespace

std::vector<PlannedTask> plan_tasks(const Relations &relations, const observed::Server &server,
                                    TaskFilter filter, const std::vector<observed::Bloat> &index_bloat,
                                    const std::vector<ExpiredRows> &expired)
{
    std::vector<PlannedTask> tasks;
    plan_tables(relations, server, filter, tasks);
    plan_partitioned(relations, server, tasks);
    if (filter == TaskFilter::everything) {
        plan_indexes(relations, server, index_bloat, tasks);
        plan_orphans(relations, tasks);
        plan_retention(relations, server, expired, tasks);
    }
    std::stable_sort(tasks.begin(), tasks.end(), [](const PlannedTask &a, const PlannedTask &b) {
        return a.emergency != b.emergency ? a.emergency : a.benefit > b.benefit;
    });
    return tasks;
}

} // namespace opsrunbook::maintenance
