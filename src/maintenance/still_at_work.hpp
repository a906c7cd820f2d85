#pragma once
// Whether the worker of a journal's row is at work, as the snapshot of the statement that asks has it.

#include "base/value.hpp"
#include "pg/arguments.hpp"

namespace opsrunbook::maintenance {

// (journal text, id bigint, part integer, worker_pid integer, worker_started_at timestamptz).
// The views ask when pg_stat_activity does not list the worker, which proves less than it seems to: a
// transaction keeps the first list it took, the worker may have reported its end after the statement's
// snapshot, and a standby never sees the primary's workers.  True then; false when the worker is gone and has
// left no end.
base::Value still_at_work(const pg::Arguments &arguments);

} // namespace opsrunbook::maintenance
