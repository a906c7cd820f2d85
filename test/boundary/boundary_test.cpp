// Throws and ereports across the boundary in every direction, for sql/boundary.sql.  Each function holds a
// Counted object where an error must not jump over it; alive() says how many are left.
#include "pg/boundary.hpp"
#include "pg/arguments.hpp"
#include "pg/database.hpp"
#include "pg/datum.hpp"
#include "pg/role.hpp"

#include "base/text.hpp"

#include <limits>
#include <stdexcept>

#include <malloc.h>

namespace {

using namespace opsrunbook;
using base::Error;
using base::ErrorKind;
using base::Value;
using pg::Arguments;

int alive_objects = 0;

struct Counted {
    Counted() { ++alive_objects; }
    Counted(const Counted &) { ++alive_objects; }
    Counted &operator=(const Counted &) = default;
    ~Counted() { --alive_objects; }
    std::string memory = std::string(1000, 'x'); // would show in malloc's figures
};

constexpr const char *kind_names[] = {"invalid_input", "undefined",   "undefined_table",
                                      "duplicate",     "not_allowed", "not_ready",
                                      "read_only",     "unsupported", "no_resources"};

ErrorKind kind_of(const std::string &name)
{
    for (size_t i = 0; i < std::size(kind_names); ++i)
        if (name == kind_names[i])
            return static_cast<ErrorKind>(i);
    throw std::logic_error("no such kind: " + name);
}

void throw_by_name(const std::string &what)
{
    const Counted counted;
    if (what == "bad_alloc")
        throw std::bad_alloc();
    if (what == "length_error")
        throw std::length_error("longer than anything");
    if (what == "logic_error")
        throw std::logic_error("something impossible happened");
    if (what == "int")
        throw 42;
    throw Error(kind_of(what), "message of " + what, "detail of " + what, "hint of " + what);
}

std::string one_text(const std::string &sql)
{
    const Counted counted;
    const pg::Result rows = pg::query(sql);
    return rows.empty() ? "" : rows.at(0, size_t{0}).text();
}

std::string described(const std::optional<pg::ServerError> &error)
{
    return error ? error->sqlstate + " " + error->message + " [" + error->detail + "] [" + error->hint + "]"
                 : "no error";
}

Value throw_error(const Arguments &arguments)
{
    const Counted counted;
    throw_by_name(arguments.text(0));
    return {};
}

Value throw_message(const Arguments &arguments)
{
    const Counted counted;
    throw Error(ErrorKind::invalid_input, arguments.text(0), arguments.text(0), arguments.text(0));
}

Value run_query(const Arguments &arguments)
{
    const Counted counted;
    return one_text(arguments.text(0));
}

// The error as attempt() tells it, and what a good query says afterwards.
Value attempt_query(const Arguments &arguments)
{
    const Counted counted;
    const auto error = pg::attempt([&] { one_text(arguments.text(0)); });
    return described(error) + ", then " + one_text("SELECT 'a good query'::text");
}

Value attempt_latest(const Arguments &arguments)
{
    const auto error = pg::attempt([&] { pg::query_latest(arguments.text(0)); });
    return described(error) + ", then " + one_text("SELECT 'a good query'::text");
}

// Of three rows, the inner attempt's is undone.
Value attempt_nested(const Arguments &)
{
    const auto outer = pg::attempt([] {
        const Counted counted;
        pg::query("INSERT INTO public.boundary_row VALUES ('outer, before')");
        const auto inner = pg::attempt([] {
            const Counted deeper;
            pg::query("INSERT INTO public.boundary_row VALUES ('inner')");
            pg::query("SELECT 1 / 0");
        });
        pg::query("INSERT INTO public.boundary_row VALUES ('outer, after ' || $1)", {described(inner)});
    });
    return described(outer);
}

// A C++ exception goes through attempt(), which undoes the row.
Value attempt_throw(const Arguments &arguments)
{
    const std::string what = arguments.text(0);
    try {
        pg::attempt([&what] {
            const Counted counted;
            pg::query("INSERT INTO public.boundary_row VALUES ('thrown away')");
            throw_by_name(what);
        });
    }
    catch (const std::exception &error) {
        return std::string("caught ") + error.what();
    }
    return "nothing was thrown";
}

// Exceptions caught in C++, from below every kind of guard; the next server error must find its way all the
// same.
Value throw_then_raise(const Arguments &)
{
    const Counted counted;
    try {
        pg::call([] { throw 42; }); // forbidden, and harmless for the handlers
    }
    catch (int) {
    }
    try {
        pg::attempt([] { throw std::runtime_error("in attempt"); });
    }
    catch (const std::runtime_error &) {
    }
    pg::Failure failure;
    pg::guarded(failure, [] { throw std::runtime_error("in guarded"); });
    return one_text("SELECT 1 / 0");
}

// Who we are after a statement under the house's owner went wrong in one way or the other.
Value house_owner_gone_wrong(const Arguments &arguments)
{
    const bool raise = arguments.text(0) == "raise";
    std::string inside;
    const auto statement = [&] {
        pg::as_house_owner([&] {
            inside = pg::current_user_name();
            if (raise)
                pg::query("SELECT 1 / 0");
            throw std::runtime_error("thrown");
        });
    };
    try {
        if (raise)
            pg::attempt(statement);
        else
            statement();
    }
    catch (const std::runtime_error &) {
    }
    return (inside == pg::current_user_name() ? "still " : "no longer ") + std::string("the owner, but ") +
           pg::current_user_name();
}

// So many errors of each kind, swallowed in one call.
Value many_attempts(const Arguments &arguments)
{
    int64_t failed = 0;
    for (int64_t i = 0; i < arguments.integer(0); ++i) {
        failed += pg::attempt([] { one_text("SELECT 1 / 0"); }).has_value();
        try {
            pg::attempt([i] { throw_by_name(i % 2 ? "int" : "not_ready"); });
        }
        catch (const Error &) {
            ++failed;
        }
        catch (int) {
            ++failed;
        }
        pg::check_interrupts();
    }
    return failed;
}

Value spin(const Arguments &arguments)
{
    const Counted counted;
    const bool in_attempt = arguments.boolean(0);
    const auto forever = [] {
        const Counted deeper;
        for (;;)
            pg::check_interrupts();
    };
    if (in_attempt)
        pg::attempt(forever);
    else
        forever();
    return {};
}

// Values that do or do not fit the function's declared type.
Value convert(const Arguments &arguments)
{
    const std::string what = arguments.text(0);
    if (what == "large")
        return int64_t{1} << 40;
    if (what == "largest real")
        return 1e300;
    if (what == "not a number")
        return std::numeric_limits<double>::quiet_NaN();
    if (what == "integers")
        return Value::Integers{1, 2, int64_t{1} << 40};
    if (what == "texts")
        return Value::Texts{"a", "b"};
    if (what == "text")
        return "text";
    return 7;
}

Value alive(const Arguments &)
{
    return alive_objects;
}

Value malloc_in_use(const Arguments &)
{
    return static_cast<int64_t>(mallinfo2().uordblks);
}

Datum function(FunctionCallInfo fcinfo, Value (*flow)(const Arguments &))
{
    return pg::entry(fcinfo, [&](FunctionCallInfo) {
        const Value value = flow(Arguments(fcinfo));
        const pg::Cell cell = pg::cell_of(value);
        fcinfo->isnull = cell.kind == pg::Cell::Kind::null;
        return fcinfo->isnull ? Datum{0} : pg::call([fcinfo, &cell] {
            return pg::datum_of(cell, get_fn_expr_rettype(fcinfo->flinfo));
        });
    });
}

} // namespace

#define TEST_FUNCTION(name)                                                                                  \
    PG_FUNCTION_INFO_V1(boundary_##name);                                                                    \
    Datum boundary_##name(PG_FUNCTION_ARGS)                                                                  \
    {                                                                                                        \
        return function(fcinfo, name);                                                                       \
    }                                                                                                        \
    static_assert(true)

#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
TEST_FUNCTION(throw_error);
TEST_FUNCTION(throw_message);
TEST_FUNCTION(run_query);
TEST_FUNCTION(attempt_query);
TEST_FUNCTION(attempt_latest);
TEST_FUNCTION(attempt_nested);
TEST_FUNCTION(attempt_throw);
TEST_FUNCTION(throw_then_raise);
TEST_FUNCTION(house_owner_gone_wrong);
TEST_FUNCTION(many_attempts);
TEST_FUNCTION(spin);
TEST_FUNCTION(convert);
TEST_FUNCTION(alive);
TEST_FUNCTION(malloc_in_use);
}
#pragma GCC visibility pop
