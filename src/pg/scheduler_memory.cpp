#include "pg/scheduler_memory.hpp"
#include "pg/boundary.hpp"
#include "pg/scheduler.hpp"

#include <algorithm>

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/shmem.h"
#include "utils/lsyscache.h"
}

namespace opsrunbook::pg {

SchedulerMemory *scheduler_memory = nullptr;

namespace {

shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;
Oid database_at_exit = InvalidOid;
bool poke_at_commit = false;
bool callback_registered = false;

void request_memory()
{
    if (previous_request)
        previous_request();
    RequestAddinShmemSpace(sizeof(SchedulerMemory));
    RequestNamedLWLockTranche("opsrunbook_scheduler", 1);
}

// Also after a crash, when the server starts afresh with empty memory.
void start_memory()
{
    if (previous_startup)
        previous_startup();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found;
    scheduler_memory = static_cast<SchedulerMemory *>(
        ShmemInitStruct("opsrunbook_scheduler", sizeof(SchedulerMemory), &found));
    if (!found) {
        memset(static_cast<void *>(scheduler_memory), 0, sizeof(SchedulerMemory));
        scheduler_memory->lock = &GetNamedLWLockTranche("opsrunbook_scheduler")->lock;
    }
    LWLockRelease(AddinShmemInitLock);
}

void poke_on_commit(XactEvent event, void *)
{
    if (event == XACT_EVENT_COMMIT && poke_at_commit)
        poke_database(MyDatabaseId);
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
        poke_at_commit = false;
}

void poke_on_exit(int, Datum)
{
    poke_database(database_at_exit);
}

// One turn a database at a time: a second launcher's turn may meet one that a first left behind.  A lock of
// the users' kind, because these are released when the process ends; a standard session lock would not be.
bool lock_turn()
{
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, 0, 1);
    tag.locktag_lockmethodid = USER_LOCKMETHOD;
    return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

} // namespace

void request_scheduler_memory()
{
    previous_request = shmem_request_hook;
    shmem_request_hook = request_memory;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = start_memory;
}

KnownDatabase *known_database(Oid oid, bool create)
{
    SchedulerMemory &memory = *scheduler_memory;
    KnownDatabase *room = nullptr;
    for (int i = 0; i < memory.used; ++i) {
        KnownDatabase &database = memory.databases[i];
        if (database.oid == oid)
            return &database;
        if (!OidIsValid(database.oid) && !room)
            room = &database;
    }
    if (!create)
        return nullptr;
    if (!room && memory.used < most_databases)
        room = &memory.databases[memory.used++];
    // The one without the extension that waits longest can be found again.
    for (int i = 0; !room && i < memory.used; ++i)
        if (!memory.databases[i].has_extension && memory.databases[i].turns > 0)
            room = &memory.databases[i];
    if (room) {
        memset(room, 0, sizeof *room);
        room->oid = oid;
    }
    return room;
}

void poke_database(Oid oid)
{
    if (!scheduler_memory)
        return;
    LWLockAcquire(scheduler_memory->lock, LW_EXCLUSIVE);
    if (KnownDatabase *const database = known_database(oid, true)) {
        database->poked = true;
        database->look_at = 0;
    }
    if (scheduler_memory->latch)
        SetLatch(scheduler_memory->latch);
    LWLockRelease(scheduler_memory->lock);
}

bool scheduler_running()
{
    if (!scheduler_memory)
        return false;
    return call([] {
        LWLockAcquire(scheduler_memory->lock, LW_SHARED);
        const bool running = scheduler_memory->launcher != 0;
        LWLockRelease(scheduler_memory->lock);
        return running;
    });
}

void poke_scheduler_at_commit()
{
    if (!scheduler_memory)
        return;
    if (!callback_registered)
        call([] { RegisterXactCallback(poke_on_commit, nullptr); });
    callback_registered = true;
    poke_at_commit = true;
}

void poke_scheduler_at_exit(unsigned database)
{
    database_at_exit = database;
    call([] { on_shmem_exit(poke_on_exit, 0); });
}

bool begin_turn()
{
    return call([] {
        if (!scheduler_memory || !lock_turn())
            return false;
        LWLockAcquire(scheduler_memory->lock, LW_EXCLUSIVE);
        if (KnownDatabase *const database = known_database(MyDatabaseId, true))
            database->poked = false;
        LWLockRelease(scheduler_memory->lock);
        return true;
    });
}

void end_turn(bool has_extension, std::optional<base::Timestamp> look_at)
{
    const TimestampTz at = look_at ? look_at->microseconds : DT_NOEND;
    call([has_extension, at] {
        LWLockAcquire(scheduler_memory->lock, LW_EXCLUSIVE);
        if (KnownDatabase *const database = known_database(MyDatabaseId, true)) {
            ++database->turns;
            database->failures = 0;
            database->has_extension = has_extension;
            database->look_at = database->poked ? 0 : at;
        }
        LWLockRelease(scheduler_memory->lock);
    });
}

base::Timestamp next_search()
{
    constexpr int seldom_seconds = 60;
    constexpr int databases_a_second = 2;
    const int databases = scheduler_memory ? scheduler_memory->used : 0;
    return clock_now() + base::seconds(std::max(seldom_seconds, databases / databases_a_second));
}

bool lock_house()
{
    return call([] {
        const Oid extension = get_extension_oid("opsrunbook", true);
        if (!OidIsValid(extension))
            return false;
        LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
        if (get_extension_oid("opsrunbook", true) != extension)
            return false;
        const Oid jobs = get_relname_relid("job", get_namespace_oid("opsrunbook", false));
        LockRelationOid(jobs, AccessShareLock);
        return true;
    });
}

base::Timestamp clock_now()
{
    return {GetCurrentTimestamp()};
}

} // namespace opsrunbook::pg
