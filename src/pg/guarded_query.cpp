// How a user's statement is kept in bounds.
//
// All of it happens in a subtransaction that is always rolled back: user, security context, settings and
// XactReadOnly are put back by the server itself.  SECURITY_RESTRICTED_OPERATION forbids what could outlive
// the statement (temporary tables, prepared statements, LISTEN); SECURITY_LOCAL_USERID_CHANGE forbids SET
// ROLE and SET SESSION AUTHORIZATION; within a subtransaction a transaction that is read-only stays
// read-only.
//
// The deadline is a timeout of our own that asks for a cancel, as statement_timeout does; `expired` tells the
// cancel that it asked for from one that a person did.  Disarming is an assignment, so it holds on every
// path.
#include "pg/guarded_query.hpp"
#include "pg/boundary.hpp"

#include <cmath>
#include <csignal>
#include <cstdlib>

#include "base/text.hpp"

extern "C" {
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/guc.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
}

namespace opsrunbook::pg {

namespace {

TimeoutId deadline_id = USER_TIMEOUT;
bool deadline_registered = false;
volatile sig_atomic_t deadline_armed = false;
volatile sig_atomic_t deadline_expired = false;

void on_deadline() // in a signal handler, which sets the latch itself
{
    if (!deadline_armed)
        return;
    deadline_expired = true;
    InterruptPending = true;
    QueryCancelPending = true;
}

bool cancelled_by_deadline()
{
    return deadline_expired;
}

// Server regime.
void start_deadline(int milliseconds)
{
    if (!deadline_registered) {
        deadline_id = RegisterTimeout(USER_TIMEOUT, on_deadline);
        deadline_registered = true;
    }
    deadline_expired = false;
    deadline_armed = true;
    enable_timeout_after(deadline_id, milliseconds);
}

// Server regime.  A cancel that was asked for too late to be served is taken back.
void stop_deadline()
{
    deadline_armed = false;
    disable_timeout(deadline_id, false);
    if (deadline_expired)
        QueryCancelPending = false;
}

struct DisarmDeadline {
    DisarmDeadline() = default;
    DisarmDeadline(const DisarmDeadline &) = delete;
    DisarmDeadline &operator=(const DisarmDeadline &) = delete;
    ~DisarmDeadline() { deadline_armed = false; }
};

struct Number {
    const char *problem = nullptr; // a constant
    bool empty = false;
    double value = 0;
};

// Server regime: nullptr, or why the text is not one SELECT.
const char *not_one_select(const char *sql)
{
    const List *const statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    if (list_length(statements) != 1)
        return "the text of the check is not exactly one statement";
    const Node *const statement = static_cast<const RawStmt *>(linitial(statements))->stmt;
    if (!IsA(statement, SelectStmt))
        return "the statement of the check is not a SELECT";
    if (reinterpret_cast<const SelectStmt *>(statement)->intoClause != nullptr)
        return "the check's SELECT creates a table (SELECT INTO)";
    return nullptr;
}

bool is_number(Oid type)
{
    return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID || type == FLOAT8OID ||
           type == NUMERICOID;
}

// Server regime, in a subtransaction.
Number run(const char *sql, Oid role, const char *path)
{
    Number number;
    number.problem = not_one_select(sql);
    if (number.problem)
        return number;
    if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role))) {
        number.problem = "the role that added the check does not exist any more";
        return number;
    }
    XactReadOnly = true;
    Oid caller;
    int context;
    GetUserIdAndSecContext(&caller, &context);
    SetUserIdAndSecContext(role, (context & ~SECURITY_NOFORCE_RLS) | SECURITY_LOCAL_USERID_CHANGE |
                                     SECURITY_RESTRICTED_OPERATION);
    set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    const int status = SPI_execute(sql, false, 2);
    if (status != SPI_OK_SELECT || SPI_tuptable == nullptr)
        number.problem = "the statement of the check is not a SELECT";
    else if (SPI_tuptable->tupdesc->natts != 1 || !is_number(SPI_gettypeid(SPI_tuptable->tupdesc, 1)))
        number.problem = "the check's query does not return one column of a numeric type";
    else if (SPI_processed > 1)
        number.problem = "the check's query returned more than one row";
    else if (SPI_processed == 0) {
        number.problem = "the check's query returned no row";
        number.empty = true;
    }
    else {
        const char *const text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
        if (text == nullptr) {
            number.problem = "the check's query returned NULL";
            number.empty = true;
        }
        else {
            number.value = strtod(text, nullptr);
            if (!std::isfinite(number.value))
                number.problem = "the check's query returned a value that is not a finite number";
        }
    }
    SPI_finish();
    return number;
}

struct RollBack {}; // leaves a subtransaction that has done its work

} // namespace

Measured measure(const GuardedQuery &query)
{
    Measured measured;
    if (deadline_armed) { // there is one deadline, and no end to checks that run all checks
        measured.problem = "the check's query runs the checks itself";
        return measured;
    }
    std::optional<ServerError> error;
    const DisarmDeadline disarm;
    const char *const sql = query.sql.c_str();
    // Tables that the caller happens to have in its pg_temp stand in for nothing.
    const std::string path = query.search_path.find("pg_temp") != std::string::npos ? query.search_path
                             : query.search_path.empty()                            ? "pg_temp"
                                                         : query.search_path + ", pg_temp";
    const char *const path_text = path.c_str();
    try {
        error = attempt(
            [&] {
                const Number number = call([&] {
                    start_deadline(query.timeout_ms);
                    const Number got = run(sql, query.role, path_text);
                    stop_deadline();
                    return got;
                });
                if (number.problem)
                    measured.problem = number.problem;
                else
                    measured.value = number.value;
                measured.empty = number.empty;
                throw RollBack{};
            },
            cancelled_by_deadline);
    }
    catch (const RollBack &) {
    }
    if (!error)
        return measured;
    call([] { stop_deadline(); });
    if (deadline_expired && error->sqlstate == "57014")
        measured.problem = base::format("the check's query timed out after %d ms (SQLSTATE %s)",
                                        query.timeout_ms, error->sqlstate.c_str());
    else
        measured.problem = base::format("the check's query failed: %s (SQLSTATE %s)", error->message.c_str(),
                                        error->sqlstate.c_str());
    return measured;
}

std::string search_path()
{
    const char *const path = call([] { return GetConfigOption("search_path", false, false); });
    return path;
}

} // namespace opsrunbook::pg
