// The launcher: a process that the postmaster keeps alive, with no database open.  scheduler.hpp says what it
// does.  All of it is server regime: it has no C++ object, and an error ends it with status 1, after which
// the postmaster starts it afresh.
//
// On a standby it is started when recovery ends, so the schedule goes on where the old primary's stopped.

#include "pg/boundary.hpp"
#include "pg/scheduler.hpp"
#include "pg/scheduler_memory.hpp"
#include "pg/worker.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

namespace opsrunbook::pg {

// worker.cpp: registers a worker that tells this process when it ends.
BackgroundWorkerHandle *start_worker(const WorkerRequest &request);

namespace {

bool scheduler_enabled = true;
int naptime_seconds = 10;
int max_running_jobs = 4;
int job_history_days = 30;
int job_history_rows = 1000;

constexpr int most_turns = 2;              // at the same time
constexpr int longest_failure_delay = 600; // seconds

struct Turn {
    BackgroundWorkerHandle *handle; // null: free
    Oid database;
    uint32_t turns_before;
};

struct Databases {
    Oid *oids;
    int count;
};

void forget_launcher(int, Datum)
{
    LWLockAcquire(scheduler_memory->lock, LW_EXCLUSIVE);
    scheduler_memory->launcher = 0;
    scheduler_memory->latch = nullptr;
    LWLockRelease(scheduler_memory->lock);
}

void announce()
{
    LWLockAcquire(scheduler_memory->lock, LW_EXCLUSIVE);
    scheduler_memory->launcher = MyProcPid;
    scheduler_memory->latch = MyLatch;
    LWLockRelease(scheduler_memory->lock);
    before_shmem_exit(forget_launcher, 0);
}

// Those that a worker could connect to.  In the given memory.
Databases list_databases(MemoryContext memory)
{
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    Databases list = {};
    int room = 64;
    list.oids = static_cast<Oid *>(MemoryContextAlloc(memory, sizeof(Oid) * static_cast<size_t>(room)));
    Relation const relation = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc const scan = table_beginscan_catalog(relation, 0, nullptr);
    while (HeapTuple const tuple = heap_getnext(scan, ForwardScanDirection)) {
        const auto *const database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (!database->datallowconn || database->datconnlimit == -2) // -2: half dropped
            continue;
        if (list.count == room) {
            room *= 2;
            list.oids = static_cast<Oid *>(repalloc(list.oids, sizeof(Oid) * static_cast<size_t>(room)));
        }
        list.oids[list.count++] = database->oid;
    }
    table_endscan(scan);
    table_close(relation, AccessShareLock);
    CommitTransactionCommand();
    return list;
}

bool contains(const Databases &list, Oid oid)
{
    for (int i = 0; i < list.count; ++i)
        if (list.oids[i] == oid)
            return true;
    return false;
}

// Dropped databases go, new ones come.
void update_known(const Databases &list)
{
    LWLockAcquire(scheduler_memory->lock, LW_EXCLUSIVE);
    for (int i = 0; i < scheduler_memory->used; ++i) {
        KnownDatabase &database = scheduler_memory->databases[i];
        if (OidIsValid(database.oid) && !contains(list, database.oid))
            memset(&database, 0, sizeof database);
    }
    for (int i = 0; i < list.count; ++i)
        known_database(list.oids[i], true);
    LWLockRelease(scheduler_memory->lock);
}

// A turn that ended without its last word failed: its database waits, longer each time.
void reap(Turn *turns, TimestampTz now)
{
    for (int i = 0; i < most_turns; ++i) {
        Turn &turn = turns[i];
        pid_t pid;
        if (!turn.handle || GetBackgroundWorkerPid(turn.handle, &pid) != BGWH_STOPPED)
            continue;
        pfree(turn.handle);
        turn.handle = nullptr;
        LWLockAcquire(scheduler_memory->lock, LW_EXCLUSIVE);
        KnownDatabase *const database = known_database(turn.database, false);
        if (database && database->turns == turn.turns_before) {
            const int doublings = database->failures < 6 ? database->failures : 6;
            const int delay = naptime_seconds << doublings;
            ++database->failures;
            database->poked = false;
            database->look_at = TimestampTzPlusMilliseconds(
                now, 1000L * (delay < longest_failure_delay ? delay : longest_failure_delay));
        }
        LWLockRelease(scheduler_memory->lock);
    }
}

bool has_turn(const Turn *turns, Oid database)
{
    for (int i = 0; i < most_turns; ++i)
        if (turns[i].handle && turns[i].database == database)
            return true;
    return false;
}

// The database that has been due for longest, or when the first one will be.
struct Next {
    Oid database; // 0: none is due
    uint32_t turns_before;
    TimestampTz at;
};

Next choose(const Turn *turns, TimestampTz now)
{
    Next next = {InvalidOid, 0, DT_NOEND};
    LWLockAcquire(scheduler_memory->lock, LW_SHARED);
    for (int i = 0; i < scheduler_memory->used; ++i) {
        const KnownDatabase &database = scheduler_memory->databases[i];
        if (!OidIsValid(database.oid) || has_turn(turns, database.oid) || database.look_at >= next.at)
            continue;
        next.at = database.look_at;
        next.database = database.oid;
        next.turns_before = database.turns;
    }
    LWLockRelease(scheduler_memory->lock);
    if (next.at > now)
        next.database = InvalidOid;
    return next;
}

// False: no slot is free, try later.
bool start_turn(Turn &turn, const Next &next)
{
    WorkerRequest request = {};
    request.work = Work::scheduler_turn;
    request.database = next.database;
    turn.handle = start_worker(request);
    turn.database = next.database;
    turn.turns_before = next.turns_before;
    return turn.handle != nullptr;
}

// Until when to sleep.
TimestampTz start_turns(Turn *turns, TimestampTz now)
{
    const TimestampTz nap = TimestampTzPlusMilliseconds(now, 1000L * naptime_seconds);
    for (int i = 0; i < most_turns; ++i) {
        if (turns[i].handle)
            continue;
        const Next next = choose(turns, now);
        if (!OidIsValid(next.database))
            return next.at < nap ? next.at : nap;
        if (!start_turn(turns[i], next))
            return TimestampTzPlusMilliseconds(now, 1000L);
    }
    return nap; // the end of a turn wakes us
}

[[noreturn]] void launch_forever()
{
    MemoryContext const memory =
        AllocSetContextCreate(TopMemoryContext, "opsrunbook scheduler", ALLOCSET_DEFAULT_SIZES);
    Turn turns[most_turns] = {};
    TimestampTz listed_at = 0;
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
        TimestampTz now = GetCurrentTimestamp();
        reap(turns, now);
        if (now < listed_at || TimestampDifferenceExceeds(listed_at, now, naptime_seconds * 1000)) {
            update_known(list_databases(memory));
            MemoryContextReset(memory);
            listed_at = now;
        }
        const TimestampTz until = start_turns(turns, now);
        now = GetCurrentTimestamp();
        const long sleep = until > now ? TimestampDifferenceMilliseconds(now, until) : 0;
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, sleep > 0 ? sleep : 1,
                  PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
    }
}

void define_scheduler_settings()
{
    // The server refuses a setting of its start once it runs; not preloaded, it means nothing anyway.
    const GucContext context = process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP;
    DefineCustomBoolVariable("opsrunbook.scheduler", "Runs the jobs of opsrunbook.schedule().",
                             "Needs the module in shared_preload_libraries.", &scheduler_enabled, true,
                             context, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.scheduler_naptime",
                            "How long the scheduler sleeps at most before it looks for new databases.",
                            nullptr, &naptime_seconds, 10, 1, 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("opsrunbook.max_running_jobs",
                            "How many jobs of one database may run at the same time.",
                            "Each takes one of max_worker_processes.", &max_running_jobs, 4, 1, 1000,
                            PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.job_history_days", "How many days the runs of jobs are remembered.",
                            "The newest run of each job is kept.", &job_history_days, 30, 1, 36500,
                            PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("opsrunbook.job_history_rows", "How many runs of one job are remembered.",
                            nullptr, &job_history_rows, 1000, 10, 1000000, PGC_SIGHUP, 0, nullptr, nullptr,
                            nullptr);
}

} // namespace

SchedulerSettings scheduler_settings()
{
    return {naptime_seconds, max_running_jobs, job_history_days, job_history_rows};
}

void register_scheduler()
{
    define_scheduler_settings();
    if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade || !scheduler_enabled)
        return;
    request_scheduler_memory();
    BackgroundWorker worker;
    memset(&worker, 0, sizeof worker);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = 5;
    strlcpy(worker.bgw_library_name, "opsrunbook", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "opsrunbook_scheduler_main", sizeof worker.bgw_function_name);
    strlcpy(worker.bgw_name, "opsrunbook scheduler", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "opsrunbook scheduler", BGW_MAXLEN);
    RegisterBackgroundWorker(&worker);
}

} // namespace opsrunbook::pg

#pragma GCC visibility push(default)
extern "C" void opsrunbook_scheduler_main(Datum argument);
#pragma GCC visibility pop

void opsrunbook_scheduler_main(Datum)
{
    using namespace opsrunbook;
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    pg::announce();
    pg::launch_forever();
}
