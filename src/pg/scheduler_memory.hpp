#pragma once
// What the launcher and the turns share.  For src/pg only; server regime.

#include "pg/postgres.hpp"

extern "C" {
#include "storage/lwlock.h"
}

namespace opsrunbook::pg {

struct KnownDatabase {
    Oid oid;             // 0: unused
    TimestampTz look_at; // DT_NOEND: only when poked
    uint32_t turns;      // that have published
    int32_t failures;    // in a row: turns that ended without publishing
    bool has_extension;
    bool poked;
};

// Beyond this many databases those without the extension take turns in it.
constexpr int most_databases = 4096;

struct SchedulerMemory {
    LWLock *lock;
    pid_t launcher;
    Latch *latch; // the launcher's, while it lives
    int used;     // entries up to here may be in use
    KnownDatabase databases[most_databases];
};

extern SchedulerMemory *scheduler_memory; // null when not preloaded
void request_scheduler_memory();          // installs the hooks

// With the lock held exclusively.  Null when the table is full of databases with the extension.
KnownDatabase *known_database(Oid oid, bool create);
void poke_database(Oid oid); // takes the lock itself

} // namespace opsrunbook::pg
