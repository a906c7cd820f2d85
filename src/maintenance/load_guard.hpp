#pragma once
// Whether background maintenance may go on, or should pause because the server is busy with something else.
// A reading above its limit pauses; that same reading must come down to 80 % of the limit before work goes
// on, so that the guard does not flap.  A reading that is not known, or has no limit, never pauses.

#include <cstdint>
#include <optional>
#include <string>

namespace opsrunbook::maintenance {

struct Load {
    std::optional<double> active_sessions;       // running a statement, our own workers not counted
    std::optional<double> lock_waiters;          // sessions waiting for a heavyweight lock
    std::optional<double> replication_lag_bytes; // of the standby furthest behind
    std::optional<double> wal_files_to_archive;  // .ready files
};

struct LoadLimits {
    std::optional<double> active_sessions, lock_waiters, replication_lag_bytes, wal_files_to_archive;
    double resume_share = 0.8; // of a limit
};

// The limit of active sessions: the setting when it is positive, else four a processor, of which three wait.
double active_session_limit(int setting, int processors);

struct LoadDecision {
    bool go = true;
    uint32_t paused_by = 0; // the readings that hold it, a bit each; give it back with the next reading
    std::string reason;     // "paused: 14 active sessions, limit 8"
};

// `paused_by` is the previous decision's; 0 at first.
LoadDecision judge_load(const Load &load, const LoadLimits &limits, uint32_t paused_by);

} // namespace opsrunbook::maintenance
