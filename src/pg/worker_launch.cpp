#include "pg/boundary.hpp"
#include "pg/worker.hpp"

#include "base/text.hpp"

extern "C" {
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"
}

namespace opsrunbook::pg {

BackgroundWorkerHandle *start_worker(const WorkerRequest &request); // the launcher's too

static_assert(std::is_trivially_copyable_v<WorkerRequest> && sizeof(WorkerRequest) <= BGW_EXTRALEN);

namespace {

const char *title_of(Work work)
{
    switch (work) {
    case Work::plan_and_run:
        return "opsrunbook maintenance";
    case Work::help_run:
        return "opsrunbook maintenance helper";
    case Work::finish_run:
        return "opsrunbook background maintenance";
    case Work::retention:
        return "opsrunbook retention";
    case Work::scheduler_turn:
        return "opsrunbook scheduler turn";
    case Work::job:
        return "opsrunbook job";
    case Work::restore_index:
    case Work::drop_index:
        return "opsrunbook index trial";
    }
    return "opsrunbook worker";
}

} // namespace

BackgroundWorkerHandle *start_worker(const WorkerRequest &request)
{
    BackgroundWorker worker;
    memset(&worker, 0, sizeof worker);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_library_name, "opsrunbook", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "opsrunbook_worker_main", sizeof worker.bgw_function_name);
    strlcpy(worker.bgw_name, title_of(request.work), BGW_MAXLEN);
    strlcpy(worker.bgw_type, title_of(request.work), BGW_MAXLEN);
    memcpy(worker.bgw_extra, &request, sizeof request);
    BackgroundWorkerHandle *handle = nullptr;
    // The handle outlives the transaction: a worker starts helpers in one and waits for them outside of any.
    MemoryContext const before = MemoryContextSwitchTo(TopMemoryContext);
    const bool registered = RegisterDynamicBackgroundWorker(&worker, &handle);
    MemoryContextSwitchTo(before);
    return registered ? handle : nullptr;
}

namespace {

// Helpers that this process has started and not yet waited for.  In TopMemoryContext, which lives until after
// the callbacks.
List *helpers = NIL;
bool helpers_end_at_exit = false;

// A run's helpers do not outlive the worker that planned it, however that one ends.  Nothing here can fail:
// it sets a flag in shared memory and signals the postmaster.
void end_helpers(int, Datum)
{
    for (int i = 0; i < list_length(helpers); ++i)
        TerminateBackgroundWorker(static_cast<BackgroundWorkerHandle *>(list_nth(helpers, i)));
}

// Server regime.
BackgroundWorkerHandle *start_helper(const WorkerRequest &request)
{
    if (!helpers_end_at_exit)
        before_shmem_exit(end_helpers, 0);
    helpers_end_at_exit = true;
    BackgroundWorkerHandle *const handle = start_worker(request);
    if (!handle)
        return nullptr;
    MemoryContext const before = MemoryContextSwitchTo(TopMemoryContext);
    helpers = lappend(helpers, handle);
    MemoryContextSwitchTo(before);
    return handle;
}

// Server regime.  Ends the worker before the caller's own cancel or termination goes through.
void wait_for(BackgroundWorkerHandle *handle)
{
    for (;;) {
        pid_t pid;
        if (GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED) {
            helpers = list_delete_ptr(helpers, handle);
            pfree(handle);
            return;
        }
        if (InterruptPending && (QueryCancelPending || ProcDiePending))
            TerminateBackgroundWorker(handle);
        CHECK_FOR_INTERRUPTS();
        const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_POSTMASTER_DEATH, -1L, PG_WAIT_EXTENSION);
        if (events & WL_POSTMASTER_DEATH)
            ereport(ERROR, (errcode(ERRCODE_ADMIN_SHUTDOWN),
                            errmsg("postmaster exited while a maintenance worker ran")));
        ResetLatch(MyLatch);
    }
}

} // namespace

WorkerRequest request_from_session(Work work, int64_t run_id)
{
    WorkerRequest request = {};
    request.work = work;
    request.run_id = run_id;
    request.database = MyDatabaseId;
    request.session_role = GetSessionUserId();
    request.role = call([] { return GetUserId(); });
    request.window_seconds = -1;
    return request;
}

std::optional<Worker> Worker::launch(const WorkerRequest &request)
{
    BackgroundWorkerHandle *const started = call([&request] {
        return request.work == Work::help_run ? start_helper(request) : start_worker(request);
    });
    return started ? std::optional(Worker(started)) : std::nullopt;
}

void Worker::wait() const
{
    call([this] { wait_for(static_cast<BackgroundWorkerHandle *>(handle)); });
}

void throw_no_worker_slot()
{
    throw base::Error(
        base::ErrorKind::no_resources, "no background worker slot is free",
        base::format("max_worker_processes is %d, and all of them are in use.", max_worker_processes),
        "Wait until other workers end, or raise max_worker_processes (needs a restart).");
}

} // namespace opsrunbook::pg
