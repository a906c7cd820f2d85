#include "pg/boundary.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/resowner.h"
}

namespace opsrunbook::pg {

namespace {

int sqlstate_of(base::ErrorKind kind) noexcept
{
    switch (kind) {
    case base::ErrorKind::invalid_input:
        return ERRCODE_INVALID_PARAMETER_VALUE;
    case base::ErrorKind::undefined:
        return ERRCODE_UNDEFINED_OBJECT;
    case base::ErrorKind::undefined_table:
        return ERRCODE_UNDEFINED_TABLE;
    case base::ErrorKind::duplicate:
        return ERRCODE_DUPLICATE_OBJECT;
    case base::ErrorKind::not_allowed:
        return ERRCODE_INSUFFICIENT_PRIVILEGE;
    case base::ErrorKind::not_ready:
        return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    case base::ErrorKind::read_only:
        return ERRCODE_READ_ONLY_SQL_TRANSACTION;
    case base::ErrorKind::unsupported:
        return ERRCODE_FEATURE_NOT_SUPPORTED;
    case base::ErrorKind::no_resources:
        return ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
    case base::ErrorKind::work_failed:
        return ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
    }
    return ERRCODE_INTERNAL_ERROR;
}

// Where a text may be cut so that no character is split.
int clipped(const char *text, size_t room)
{
    const int length = static_cast<int>(strlen(text));
    return static_cast<size_t>(length) + 1 < room ? length : pg_mbcliplen(text, length, length);
}

} // namespace

void describe(Failure &failure, const base::Error &error) noexcept
{
    failure.sqlstate = sqlstate_of(error.kind);
    strlcpy(failure.message, error.message.c_str(), sizeof failure.message);
    strlcpy(failure.detail, error.detail.c_str(), sizeof failure.detail);
    strlcpy(failure.hint, error.hint.c_str(), sizeof failure.hint);
}

void describe(Failure &failure, int sqlstate, const char *message) noexcept
{
    failure.sqlstate = sqlstate;
    strlcpy(failure.message, message, sizeof failure.message);
}

void raise(const Failure &failure)
{
    const int message = clipped(failure.message, sizeof failure.message);
    const int detail = clipped(failure.detail, sizeof failure.detail);
    const int hint = clipped(failure.hint, sizeof failure.hint);
    ereport(ERROR, (errcode(failure.sqlstate), errmsg("%.*s", message, failure.message),
                    detail ? errdetail("%.*s", detail, failure.detail) : 0,
                    hint ? errhint("%.*s", hint, failure.hint) : 0));
    pg_unreachable();
}

namespace {

// What the body leaves in the server's memory goes with the subtransaction, so that many failed attempts in
// one call do not add up; what it means to keep are C++ values.
struct Subtransaction {
    MemoryContext const memory = CurrentMemoryContext;
    ResourceOwner const owner = CurrentResourceOwner;
    MemoryContext inside = nullptr;

    void begin()
    {
        call([this] {
            inside = AllocSetContextCreate(memory, "opsrunbook attempt", ALLOCSET_DEFAULT_SIZES);
            BeginInternalSubTransaction(nullptr);
            MemoryContextSwitchTo(inside);
        });
    }
    void release() const
    {
        call([this] {
            ReleaseCurrentSubTransaction();
            leave();
        });
    }
    void roll_back() const
    {
        call([this] {
            RollbackAndReleaseCurrentSubTransaction();
            leave();
        });
    }

private:
    void leave() const
    {
        MemoryContextSwitchTo(memory);
        CurrentResourceOwner = owner;
        MemoryContextDelete(inside);
    }
};

struct ErrorTexts {
    int sqlstate;
    const char *message, *detail, *hint;
};

std::string text_or_empty(const char *text)
{
    return text ? text : "";
}

} // namespace

ServerError take_error()
{
    // The copy lives in a context of its own, deleted when the texts are ours.
    MemoryContext copy = nullptr;
    const ErrorTexts texts = call([&copy] {
        copy = AllocSetContextCreate(TopMemoryContext, "opsrunbook error", ALLOCSET_SMALL_SIZES);
        MemoryContext const before = MemoryContextSwitchTo(copy);
        const ErrorData *const error = CopyErrorData();
        FlushErrorState();
        MemoryContextSwitchTo(before);
        return ErrorTexts{error->sqlerrcode, error->message, error->detail, error->hint};
    });
    ServerError error{text_or_empty(unpack_sql_state(texts.sqlstate)), text_or_empty(texts.message),
                      text_or_empty(texts.detail), text_or_empty(texts.hint)};
    call([copy] { MemoryContextDelete(copy); });
    return error;
}

std::optional<ServerError> attempt_body(void (*body)(void *), void *argument, bool (*own_cancel)())
{
    Subtransaction subtransaction;
    subtransaction.begin();
    // Handlers only take note: what follows may raise, and must not do so below an active handler.
    std::exception_ptr thrown;
    try {
        const KeepHandlers keep;
        body(argument);
        subtransaction.release();
        return std::nullopt;
    }
    catch (const Raised &) {
    }
    catch (...) {
        thrown = std::current_exception();
    }
    MemoryContextSwitchTo(subtransaction.memory);
    if (thrown) {
        subtransaction.roll_back();
        std::rethrow_exception(thrown);
    }
    // Who cancels, or sets a statement_timeout, wants the whole statement to end.
    if (geterrcode() == ERRCODE_QUERY_CANCELED && !(own_cancel && own_cancel())) {
        ErrorData *const cancelled = call([] {
            ErrorData *const copy = CopyErrorData();
            FlushErrorState();
            return copy;
        });
        subtransaction.roll_back();
        call([cancelled] { ReThrowError(cancelled); });
    }
    ServerError error = take_error();
    subtransaction.roll_back();
    return error;
}

void check_interrupts()
{
    if (INTERRUPTS_PENDING_CONDITION())
        call([] { ProcessInterrupts(); });
}

} // namespace opsrunbook::pg
