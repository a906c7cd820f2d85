#pragma once
// The boundary between C++ and the server's error handling.
//
// Two regimes, one per function.  C++ regime: may throw and hold any object, and reaches the server only
// through call() or attempt().  Server regime: locals with trivial destructors only, may ereport, never
// throws; the lambdas given to call() are of this kind.
//
//   call      C++ -> server.  A server ERROR becomes `throw Raised{}`; the error itself stays on the server's
//   stack. entry     server -> C++.  Every symbol the server calls is `return entry(fcinfo, body)`. attempt
//   the only way to go on after a server ERROR inside a transaction: runs a body in a subtransaction.
//
// Raised is caught in three places only: entry, attempt, and the top of a worker.  Cleanup has one owner: the
// success path releases explicitly, the error path leaves it to transaction abort.

#include "pg/postgres.hpp"

#include "base/error.hpp"
#include "pg/server_error.hpp"

namespace opsrunbook::pg {

struct Raised {}; // an ERROR is on the server's error stack, on its way to entry()

// Whatever happens below, the server's handlers are ours again.
struct KeepHandlers {
    sigjmp_buf *jump = PG_exception_stack;
    ErrorContextCallback *context = error_context_stack;
    KeepHandlers() = default;
    KeepHandlers(const KeepHandlers &) = delete;
    KeepHandlers &operator=(const KeepHandlers &) = delete;
    ~KeepHandlers()
    {
        PG_exception_stack = jump;
        error_context_stack = context;
    }
};

// Runs a server-regime lambda.  It captures by reference and returns plain data.
template <class Fn> [[gnu::noinline]] std::invoke_result_t<Fn &> call(Fn fn)
{
    using Plain = std::invoke_result_t<Fn &>;
    static_assert(std::is_trivially_destructible_v<Fn>, "capture by reference");
    static_assert(std::is_void_v<Plain> || std::is_trivially_destructible_v<Plain>, "return plain data");
    MemoryContext const memory = CurrentMemoryContext;
    const KeepHandlers keep; // before sigsetjmp, so that it is never jumped over
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        return fn();
    }
    MemoryContextSwitchTo(memory); // errfinish() left us in ErrorContext
    throw Raised{};
}

// What a C++ exception says, copied where it outlives the exception.
struct Failure {
    int sqlstate = 0;
    char message[1024] = "";
    char detail[1024] = "";
    char hint[1024] = "";
};

// Fill a Failure inside a catch block; noexcept, so nothing can go wrong there.
void describe(Failure &failure, const base::Error &error) noexcept;
void describe(Failure &failure, int sqlstate, const char *message) noexcept;

// Raises what a Failure holds.  Server regime: no C++ object may be alive above it.
[[noreturn]] void raise(const Failure &failure);

// Runs a C++ body; true when it ended well.  Otherwise failure says why, or holds sqlstate 0: a server ERROR
// is on the server's error stack and the caller decides where it goes.
template <class Body> bool guarded(Failure &failure, Body &&body)
{
    try {
        const KeepHandlers keep; // a throw may cross a guard: put the handlers back first
        body();
        return true;
    }
    catch (const Raised &) {
    }
    catch (const base::Error &error) {
        describe(failure, error);
    }
    catch (const std::bad_alloc &) {
        describe(failure, ERRCODE_OUT_OF_MEMORY, "out of memory");
    }
    catch (const std::exception &error) {
        describe(failure, ERRCODE_INTERNAL_ERROR, error.what());
    }
    catch (...) {
        describe(failure, ERRCODE_INTERNAL_ERROR, "unexpected C++ exception");
    }
    return false;
}

template <class Body> Datum entry(FunctionCallInfo fcinfo, Body body)
{
    Failure failure;
    Datum result = 0;
    if (guarded(failure, [&] { result = body(fcinfo); }))
        return result;
    if (failure.sqlstate == 0) // no C++ object is alive from here on
        PG_RE_THROW();
    raise(failure);
}

// Runs a C++ body in a subtransaction.  Nothing: it ended well.  A ServerError: the server refused, and all
// that the body did in the database is undone.  C++ exceptions and the cancelling of the statement roll back
// and go on upwards; unless own_cancel says that the cancelling was the caller's own (a deadline it set).
std::optional<ServerError> attempt_body(void (*body)(void *), void *argument, bool (*own_cancel)());

template <class Body> std::optional<ServerError> attempt(Body &&body, bool (*own_cancel)() = nullptr)
{
    return attempt_body([](void *argument) { (*static_cast<std::remove_reference_t<Body> *>(argument))(); },
                        const_cast<void *>(static_cast<const void *>(&body)), own_cancel);
}

// The error on the server's stack, copied and flushed.  C++ regime, only at the three places that catch
// Raised.
ServerError take_error();

// For long C++ loops: a guarded CHECK_FOR_INTERRUPTS.
void check_interrupts();

} // namespace opsrunbook::pg
