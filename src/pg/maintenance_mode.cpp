#include "pg/maintenance_mode.hpp"
#include "pg/boundary.hpp"

extern "C" {
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
}

namespace opsrunbook::pg {

namespace {

char *maintenance_reason = nullptr; // the server's own storage: dies at the next change
emit_log_hook_type previous_hook = nullptr;

// Server regime, in the middle of an error's report: allocates in the error's own context, and nothing else.
void explain_read_only(ErrorData *error)
{
    if (error->elevel == ERROR && error->sqlerrcode == ERRCODE_READ_ONLY_SQL_TRANSACTION && !error->hint &&
        maintenance_reason && maintenance_reason[0] && DefaultXactReadOnly && !RecoveryInProgress()) {
        MemoryContext const before = MemoryContextSwitchTo(error->assoc_context);
        error->hint = psprintf("The database is in maintenance mode: %s", maintenance_reason);
        MemoryContextSwitchTo(before);
    }
    if (previous_hook)
        previous_hook(error);
}

} // namespace

void define_maintenance_reason()
{
    DefineCustomStringVariable(
        "opsrunbook.maintenance_reason", "Why this database is in maintenance mode.",
        "Set by opsrunbook.enter_maintenance_mode(); whoever hits the read-only database is shown it.",
        &maintenance_reason, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
    previous_hook = emit_log_hook;
    emit_log_hook = explain_read_only;
}

// A starting connection locks its database with RowExclusiveLock until it has read its settings.
void hold_new_connections()
{
    call([] { LockSharedObject(DatabaseRelationId, MyDatabaseId, 0, ShareLock); });
}

DespiteReadOnlyDefault::DespiteReadOnlyDefault() : before(XactReadOnly)
{
    if (!before)
        return;
    if (!DefaultXactReadOnly || IsolationIsSerializable())
        throw base::Error(base::ErrorKind::read_only,
                          "cannot change maintenance mode in a read-only transaction", "",
                          "SET default_transaction_read_only = off; and call it again in a new transaction.");
    XactReadOnly = false;
}

void DespiteReadOnlyDefault::end()
{
    XactReadOnly = before;
}

} // namespace opsrunbook::pg
