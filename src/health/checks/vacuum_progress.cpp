// VACUUMs that run: those whose memory does not hold the places of all dead rows read every index once more
// each time that it is full.
#include "health/checks/checks.hpp"
#include "health/checks/vacuum_progress.hpp"

#include <algorithm>
#include <cmath>

#include "health/checks/setting_change.hpp"
#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::size_text;

constexpr double megabyte = 1024.0 * 1024;

// vacuumlazy.c, dead_items_max_items: before 17 all of them have to fit into one allocation (MaxAllocSize).
constexpr double largest_array_bytes = 1024 * megabyte;

// Passes over the indexes that began or are sure to come: one is usual, at the end.
int64_t index_passes(const observed::VacuumProgress &vacuum)
{
    const bool another =
        vacuum.phase == "vacuuming indexes" || (vacuum.phase == "scanning heap" && vacuum.index_passes > 0);
    return vacuum.index_passes + another;
}

// For all dead rows of the table, if the part not scanned has as many as the rest.
double needed_bytes(const observed::VacuumProgress &vacuum)
{
    const bool emptied = vacuum.phase != "scanning heap" && vacuum.phase != "vacuuming indexes";
    const double found =
        static_cast<double>(vacuum.dead_bytes_most) * static_cast<double>(vacuum.index_passes) +
        static_cast<double>(emptied ? 0 : vacuum.dead_bytes);
    const auto scanned = static_cast<double>(std::max<int64_t>(1, vacuum.heap_scanned));
    return found * std::max(1.0, static_cast<double>(vacuum.heap_blocks) / scanned);
}

bool of_autovacuum(const observed::Server &server, int pid)
{
    return std::any_of(server.sessions.begin(), server.sessions.end(), [pid](const auto &session) {
        return session.pid == pid && session.kind == "autovacuum worker";
    });
}

// The memory that a VACUUM gets which starts now.
double memory_bytes(const observed::Server &server, bool autovacuum)
{
    const double own = autovacuum ? server.setting_number("autovacuum_work_mem", -1) : -1;
    return 1024 * (own >= 0 ? own : server.setting_number("maintenance_work_mem", 65536));
}

void give_it_room(const observed::Server &server, const observed::VacuumProgress &vacuum, double needed,
                  Finding &finding)
{
    const bool array = server.version < 170000, autovacuum = of_autovacuum(server, vacuum.pid);
    const char *const setting = autovacuum ? "autovacuum_work_mem" : "maintenance_work_mem";
    const double wanted = array ? std::min(1.1 * needed, largest_array_bytes) : 1.1 * needed;
    const std::string value = format("%.0fMB", std::max(1.0, std::ceil(wanted / megabyte)));
    if (array && static_cast<double>(vacuum.dead_bytes_most) > 0.99 * largest_array_bytes)
        finding.fix = "-- vacuum it more often (a lower autovacuum_vacuum_scale_factor for this table), or "
                      "partition it: before PostgreSQL 17 VACUUM cannot use more than 1 GB";
    else if (memory_bytes(server, autovacuum) >= wanted)
        finding.fix = format("-- the session that vacuums has less memory than the server gives by itself: "
                             "there SET %s = '%s' before VACUUM",
                             setting, value.c_str());
    else {
        const SettingChange change = change_setting(server, setting, value);
        finding.fix = change.fix;
        finding.undo = change.undo;
    }
}

void vacuum_index_passes(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "progress"))
        return;
    for (const observed::VacuumProgress &vacuum : seen.server.vacuums) {
        const observed::Table *table = seen.relations.table(vacuum.relation);
        if (!table)
            continue;
        const std::string name = seen.relations.name(table->relation);
        const int64_t passes = index_passes(vacuum);
        Finding *finding = judge.measure(
            static_cast<double>(passes), name,
            format("the VACUUM of %s is at pass %lld over its indexes: its memory (%s) does not hold "
                   "the places of all dead rows",
                   name.c_str(), static_cast<long long>(passes), size_text(vacuum.dead_bytes_most).c_str()));
        if (!finding)
            continue;
        const double needed = needed_bytes(vacuum);
        finding->evidence.add("pid", vacuum.pid)
            .add("phase", vacuum.phase)
            .add("index_passes", vacuum.index_passes)
            .add("memory_bytes", vacuum.dead_bytes_most)
            .add("needed_bytes", static_cast<int64_t>(needed));
        finding->cause =
            "memory for dead rows full -> every index is read once more -> VACUUM takes a multiple "
            "of its time";
        give_it_room(seen.server, vacuum, needed, *finding);
    }
    judge.fine(
        seen.server.vacuums.empty()
            ? "no VACUUM runs"
            : format("%s at work, none over its indexes again",
                     base::plural(static_cast<int64_t>(seen.server.vacuums.size()), "VACUUM").c_str()));
}

constexpr Check checks[] = {
    {
        .id = "vacuum_index_passes",
        .title = "VACUUMs that read the indexes several times",
        .category = Category::vacuum,
        .points = 10,
        .metric = "vacuum_index_passes",
        .unit = "passes",
        .direction = Direction::above,
        .warning = 1,
        .explanation =
            "VACUUM remembers dead rows in memory (autovacuum_work_mem or maintenance_work_mem). When that "
            "is "
            "full it reads all indexes, and begins anew. More than one pass means too little memory for the "
            "table; the fix names what its dead rows would take.",
        .source = "pg_stat_progress_vacuum.index_vacuum_count; memory so far * heap_blks_total / "
                  "heap_blks_scanned",
        .evaluate = vacuum_index_passes,
    },
};

} // namespace

bool all_workers_busy(const observed::Server &server)
{
    return server.autovacuum_workers_busy > 0 && static_cast<double>(server.autovacuum_workers_busy) >=
                                                     server.setting_number("autovacuum_max_workers", 3);
}

std::string more_from_the_workers(const observed::Server &server)
{
    return format(
        "lower autovacuum_vacuum_cost_delay (%g ms), or raise autovacuum_max_workers (%.0f) together "
        "with autovacuum_vacuum_cost_limit, which the workers share",
        server.setting_number("autovacuum_vacuum_cost_delay", 2),
        server.setting_number("autovacuum_max_workers", 3));
}

std::span<const Check> vacuum_progress_checks()
{
    return checks;
}

} // namespace opsrunbook::health
