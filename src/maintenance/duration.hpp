#pragma once
// How long a maintenance task will take: seconds per byte of its work, learned from this database's own past
// runs of the relation, then of the kind, and a default rate before there are any.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsrunbook::maintenance {

enum class TaskKind {
    vacuum,
    vacuum_freeze,
    vacuum_full,
    analyze,
    reindex,       // CONCURRENTLY
    drop_leftover, // _ccnew, _ccold
    drop_orphan,   // a temporary table without a session
    retention_delete,
    backup,
    verify, // of a table with its btree indexes
};
std::string_view task_kind_text(TaskKind kind);              // "vacuum freeze"
std::optional<TaskKind> task_kind_of(std::string_view text); // of that spelling

// What a task has before it.  Bytes are of whole pages; what does not apply stays 0.
struct Work {
    TaskKind kind = TaskKind::vacuum;
    uint32_t relation = 0; // 0: none, for a backup
    double heap_bytes_to_scan =
        0;                  // VACUUM: pages not all-visible; FREEZE: not all-frozen; deletes: rows to go
    double heap_bytes = 0;  // the whole heap; the table's for an index
    double index_bytes = 0; // VACUUM: of all its indexes; REINDEX: of those to be built
    double dead_rows = 0;
    double sample_rows = 0; // ANALYZE, also by VACUUM: 300 x the largest statistics target
    double block_bytes = 8192;
};

// The one number a run's duration is proportional to.  Store it with the run as PastRun::bytes.
// VACUUM reads the indexes only when 2 % of the heap's pages have dead rows (BYPASS_THRESHOLD_PAGES in
// vacuumlazy.c).
double work_bytes(const Work &work);

// A run that succeeded.  Runs that failed, were cancelled or were paused say nothing about the duration.
struct PastRun {
    uint32_t relation = 0;
    TaskKind kind = TaskKind::vacuum;
    double bytes = 0; // work_bytes() before the run
    double seconds = 0;
    double age = 0; // any unit; the smaller, the newer
};

struct Duration {
    double seconds = 0;
    std::string basis; // "3 runs of this table", "18 runs of this kind", "default rate"
};

// The weighted median of seconds per byte of the relation's newest ten runs, newer ones weighing more.  With
// one or two runs it is drawn towards the kind's median over all relations (newest fifty), which with fewer
// than five runs is drawn towards the default rate; both on the scale of logarithms.
Duration predict_duration(const Work &work, const std::vector<PastRun> &history);

} // namespace opsrunbook::maintenance
