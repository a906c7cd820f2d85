#pragma once
// What a database needs: from observations to candidate tasks, each with its reason, its benefit and its
// work.
//
// Benefit is in bytes of useless reading that a task saves in a day (weight.hpp), so that tasks of every kind
// compare: dead rows and bloat are read again by every scan, and stale statistics lead to plans that read too
// much: a quarter more where all rows have changed.

#include <string>
#include <vector>

#include "maintenance/autovacuum_rules.hpp"
#include "maintenance/duration.hpp"
#include "observed/bloat.hpp"

namespace opsrunbook::maintenance {

struct PlannedTask {
    Work work;
    uint32_t relation = 0; // what is locked and worked on; TOAST tables are worked on through their owner
    std::string object;    // its name, for people
    std::string command;
    std::string undo;
    std::string reason;
    double benefit = 0;
    bool emergency = false; // wraparound: ignores the window
    bool background =
        false; // waits for every snapshot, the caller's too: cannot be waited for by a transaction
};

// What a retention policy lets go, as the statistics of its time column have it.
struct ExpiredRows {
    uint32_t relation = 0;
    std::string table; // qualified and quoted
    std::string keep;  // 90 days
    double share = 0;  // of the rows, from 0 to 1
    std::string problem = {}; // why the policy is not applied; empty: it stands
};

enum class TaskFilter : int32_t { everything, analyze_only };

// Tables that need VACUUM or ANALYZE, indexes that need rebuilding or removing; the greatest benefit first.
// index_bloat: of the indexes that were measured for it (bloated_indexes.hpp).  expired: by retention policy.
std::vector<PlannedTask> plan_tasks(const observed::Relations &relations, const observed::Server &server,
                                    TaskFilter filter, const std::vector<observed::Bloat> &index_bloat,
                                    const std::vector<ExpiredRows> &expired = {});

} // namespace opsrunbook::maintenance
