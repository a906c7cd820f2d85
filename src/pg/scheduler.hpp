#pragma once
// The scheduler's side that touches the server.
//
// The launcher (launcher.cpp) keeps no database open and runs no job.  It starts, database by database, a
// short worker (Work::scheduler_turn) that reads the jobs, starts those that are due, each as a worker of its
// own (Work::job), and says when to look again.  What they tell each other lies in shared memory:
//
//   look_at     when the launcher starts the next turn in a database
//   poked       somebody changed a job, or a run ended: a turn that read before that looks again at once
//
// One LWLock protects all of it and is held for a few instructions only.

#include <optional>
#include <string>

#include "base/value.hpp"

namespace opsrunbook::pg {

void register_scheduler(); // from _PG_init, before MarkGUCPrefixReserved()

bool scheduler_running(); // its process lives

// When the current transaction commits, the scheduler looks at this database.
void poke_scheduler_at_commit();

// For workers: when this process has ended, however it ends, the scheduler looks at its database.  Call it
// before connecting.
void poke_scheduler_at_exit(unsigned database);

// A turn: false when another one is at work in this database.
bool begin_turn();
// The turn's last word.  Nothing: only a change matters.
void end_turn(bool has_extension, std::optional<base::Timestamp> look_at);

// When a database is looked at without being asked to: a restored dump has jobs that nobody scheduled here.
// Later with more databases, so that thousands of idle ones do not keep starting workers.
base::Timestamp next_search();

// Keeps the extension from being dropped until the transaction ends; false when it is not there.  Also locks
// the table of jobs, before that of runs, as everybody does.
bool lock_house();

struct SchedulerSettings {
    int naptime_seconds;
    int max_running_jobs; // in one database
    int job_history_days;
    int job_history_rows; // of one job
};
SchedulerSettings scheduler_settings();

base::Timestamp clock_now();

} // namespace opsrunbook::pg
