#include <algorithm>

#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/worker.hpp"

#include "base/text.hpp"
#include "advice/index_trial/index_trial.hpp"
#include "maintenance/runner.hpp"
#include "maintenance/schedule/turn.hpp"
#include "pg/scheduler.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
}

namespace opsrunbook::pg {

namespace {

// The settings under which autovacuum works too: no timeout of a role or database, no path, must stop the
// work.
void prepare_settings(bool keep_path)
{
    if (!keep_path) {
        SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
        // Statements with times that are written down are run elsewhere; the order of day and month is kept.
        SetConfigOption("DateStyle", "ISO", PGC_SUSET, PGC_S_OVERRIDE);
    }
    static constexpr const char *const settings[][2] = {
        {"statement_timeout", "0"},
#if PG_VERSION_NUM >= 170000
        {"transaction_timeout", "0"},
#endif
        {"lock_timeout", "0"},
        {"idle_in_transaction_session_timeout", "0"},
        {"default_transaction_isolation", "read committed"},
        {"default_transaction_read_only", "off"},
        {"zero_damaged_pages", "off"},
    };
    for (const auto &setting : settings)
        SetConfigOption(setting[0], setting[1], PGC_SUSET, PGC_S_OVERRIDE);
}

// Server regime.  As if a client had sent the statement: PortalRun() with isTopLevel.
void execute_top_level(const char *sql)
{
    MemoryContext const memory =
        AllocSetContextCreate(TopMemoryContext, "opsrunbook statement", ALLOCSET_DEFAULT_SIZES);
    debug_query_string = sql;
    pgstat_report_activity(STATE_RUNNING, sql);
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    // VACUUM ends and begins transactions on its way: the statement must live in memory that outlasts them.
    MemoryContextSwitchTo(memory);
    List *const parsed = pg_parse_query(sql);
    RawStmt *const statement = linitial_node(RawStmt, parsed);
    PushActiveSnapshot(GetTransactionSnapshot());
    List *const queries = pg_analyze_and_rewrite_fixedparams(statement, sql, nullptr, 0, nullptr);
    List *const plans = pg_plan_queries(queries, sql, CURSOR_OPT_PARALLEL_OK, nullptr);
    PopActiveSnapshot();
    Portal const portal = CreatePortal("", true, true);
    portal->visible = false;
    PortalDefineQuery(portal, nullptr, sql, CreateCommandTag(statement->stmt), plans, nullptr);
    PortalStart(portal, nullptr, 0, InvalidSnapshot);
    QueryCompletion completion;
    InitializeQueryCompletion(&completion);
    compat::portal_run(portal, None_Receiver, &completion);
    PortalDrop(portal, false);
    CommitTransactionCommand();
    pgstat_report_stat(true);
    pgstat_report_activity(STATE_IDLE, nullptr);
    debug_query_string = nullptr;
    MemoryContextSwitchTo(TopMemoryContext);
    MemoryContextDelete(memory);
}

// An error context callback, its argument the hint.
void hint_at_syntax_error(void *hint)
{
    if (geterrcode() == ERRCODE_SYNTAX_ERROR && *static_cast<const char *>(hint))
        errhint("%s", static_cast<const char *>(hint));
}

ServerError error_of(const Failure &failure)
{
    return {unpack_sql_state(failure.sqlstate), failure.message, failure.detail, failure.hint};
}

// The top of a worker: what went wrong below is logged, and its transaction aborted.
template <class Body> std::optional<ServerError> at_top(Body &&body)
{
    Failure failure;
    if (guarded(failure, body))
        return std::nullopt;
    std::optional<ServerError> error;
    if (failure.sqlstate == 0) {
        call([] {
            MemoryContextSwitchTo(TopMemoryContext);
            EmitErrorReport();
        });
        error = take_error();
    }
    else
        error = error_of(failure);
    call([] {
        AbortCurrentTransaction();
        pgstat_report_activity(STATE_IDLE, nullptr);
        debug_query_string = nullptr;
        MemoryContextSwitchTo(TopMemoryContext);
    });
    return error;
}

LOCKTAG relation_task_tag(Oid relation)
{
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, get_relname_relid("task", get_namespace_oid("opsrunbook", false)),
                       relation, 0);
    tag.locktag_lockmethodid = USER_LOCKMETHOD; // outlasts an abort, and is released when the process ends
    return tag;
}

// The last number keeps it apart from the tags of relations.  Two tasks whose ids differ by 2^32 share one,
// which makes the one wait for the other at worst.
LOCKTAG task_end_tag(int64_t task)
{
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, get_relname_relid("task", get_namespace_oid("opsrunbook", false)),
                       static_cast<uint32>(task), 1);
    return tag;
}

// Connects as the role that logged in, then becomes the role that called, as that session had.
void connect(const WorkerRequest &request)
{
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnectionByOid(request.database, request.session_role, 0);
    prepare_settings(request.work == Work::job);
    if (request.role != request.session_role) {
        StartTransactionCommand();
        char *const name = GetUserNameFromId(request.role, false);
        SetConfigOption("role", name, PGC_USERSET, PGC_S_SESSION);
        CommitTransactionCommand();
    }
}

void dispatch(const WorkerRequest &request)
{
    if (request.work == Work::scheduler_turn)
        return maintenance::scheduler_turn();
    if (request.work == Work::job)
        return maintenance::run_job(request);
    if (request.work == Work::restore_index)
        return advice::restore_index(request);
    if (request.work == Work::drop_index)
        return advice::drop_index(request);
    return maintenance::work(request);
}

} // namespace

std::optional<ServerError> worker_transaction(const std::function<void()> &body)
{
    return at_top([&body] {
        call([] {
            SetCurrentStatementStartTimestamp();
            StartTransactionCommand();
            PushActiveSnapshot(GetTransactionSnapshot());
        });
        body();
        call([] {
            PopActiveSnapshot();
            CommitTransactionCommand();
            pgstat_report_stat(true);
        });
    });
}

std::optional<ServerError> record_outcome(const std::function<void()> &body)
{
    constexpr int attempts = 3;
    std::optional<ServerError> error;
    for (int attempt = 0; attempt < attempts; ++attempt)
        if (error = worker_transaction(body); !error)
            break;
    return error;
}

std::optional<ServerError> run_statement(const std::string &sql, int lock_timeout_ms, double timeout_seconds)
{
    const char *const text = sql.c_str();
    const int timeout_ms = static_cast<int>(std::min(timeout_seconds * 1000, 2e9));
    auto error = at_top([text, lock_timeout_ms, timeout_ms] {
        call([text, lock_timeout_ms, timeout_ms] {
            char timeout[16];
            snprintf(timeout, sizeof timeout, "%d", lock_timeout_ms);
            SetConfigOption("lock_timeout", timeout, PGC_SUSET, PGC_S_OVERRIDE);
            if (timeout_ms > 0)
                enable_timeout_after(STATEMENT_TIMEOUT, timeout_ms);
            execute_top_level(text);
            SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
        });
    });
    if (timeout_ms > 0)
        call([] {
            disable_timeout(STATEMENT_TIMEOUT, false);
            QueryCancelPending = false; // it may have fired just after the statement's end
        });
    return error;
}

void require_single_statement(const std::string &sql, const std::string &hint)
{
    const char *const text = sql.c_str(), *const advice = hint.c_str();
    bool transaction = false;
    const int count = call([text, advice, &transaction] {
        ErrorContextCallback context = {error_context_stack, hint_at_syntax_error,
                                        const_cast<char *>(advice)};
        error_context_stack = &context;
        List *const parsed = pg_parse_query(text);
        error_context_stack = context.previous;
        if (list_length(parsed) == 1)
            transaction = IsA(linitial_node(RawStmt, parsed)->stmt, TransactionStmt);
        return list_length(parsed);
    });
    if (count != 1)
        throw base::Error(base::ErrorKind::invalid_input, "a job's command must be a single statement",
                          base::format("The text has %d statements.", count),
                          "Put several statements into a procedure or a DO block.");
    if (transaction)
        throw base::Error(base::ErrorKind::invalid_input, "a job's command cannot begin or end a transaction",
                          "Each run is a transaction of its own.",
                          "Put several statements into a procedure or a DO block.");
}

bool try_lock_relation_task(unsigned relation)
{
    return call([relation] {
        const LOCKTAG tag = relation_task_tag(relation);
        return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
    });
}

void unlock_relation_task(unsigned relation)
{
    call([relation] {
        const LOCKTAG tag = relation_task_tag(relation);
        LockRelease(&tag, ExclusiveLock, true);
    });
}

void lock_task_end(int64_t task)
{
    call([task] {
        const LOCKTAG tag = task_end_tag(task);
        LockAcquire(&tag, ExclusiveLock, false, false);
    });
}

void unlock_task_end(int64_t task)
{
    call([task] {
        const LOCKTAG tag = task_end_tag(task);
        LockRelease(&tag, ExclusiveLock, false);
    });
}

int process_id()
{
    return MyProcPid;
}

} // namespace opsrunbook::pg

#pragma GCC visibility push(default)
extern "C" void opsrunbook_worker_main(Datum argument);
#pragma GCC visibility pop

// The server calls this in a fresh process.  An error that nobody below caught ends the worker with a log
// line.
void opsrunbook_worker_main(Datum)
{
    using namespace opsrunbook;
    pg::WorkerRequest request;
    memcpy(&request, MyBgworkerEntry->bgw_extra, sizeof request);
    pg::Failure failure;
    if (request.work == pg::Work::job)
        pg::poke_scheduler_at_exit(request.database);
    pg::connect(request);
    if (pg::guarded(failure, [&request] { pg::dispatch(request); }))
        proc_exit(0);
    if (failure.sqlstate == 0)
        PG_RE_THROW();
    pg::raise(failure);
}
