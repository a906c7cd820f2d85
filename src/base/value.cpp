#include "base/value.hpp"

#include <stdexcept>

#include "base/no_server_headers.hpp"

namespace opsrunbook::base {

namespace {

// A flow that asks for another type than its query delivers has a bug; it must not go on with a made-up
// value.
template <class T, class Variant> const T &expect(const Variant &storage)
{
    if (const T *value = std::get_if<T>(&storage))
        return *value;
    throw std::logic_error("a query's column has another type than its reader expects");
}

} // namespace

bool Value::boolean(bool otherwise) const
{
    return is_null() ? otherwise : expect<bool>(storage);
}

int64_t Value::integer(int64_t otherwise) const
{
    if (is_null())
        return otherwise;
    if (const double *value = std::get_if<double>(&storage))
        return static_cast<int64_t>(*value);
    return expect<int64_t>(storage);
}

double Value::real(double otherwise) const
{
    if (is_null())
        return otherwise;
    if (const int64_t *value = std::get_if<int64_t>(&storage))
        return static_cast<double>(*value);
    return expect<double>(storage);
}

const std::string &Value::text() const
{
    static const std::string *const none = new std::string; // never destroyed: no work in the server's exit()
    return is_null() ? *none : expect<std::string>(storage);
}

std::optional<Timestamp> Value::timestamp() const
{
    return is_null() ? std::nullopt : std::optional(expect<Timestamp>(storage));
}

std::optional<Interval> Value::interval() const
{
    return is_null() ? std::nullopt : std::optional(expect<Interval>(storage));
}

const Value::Integers &Value::integers() const
{
    static const Integers *const none = new Integers;
    return is_null() ? *none : expect<Integers>(storage);
}

const Value::Texts &Value::texts() const
{
    static const Texts *const none = new Texts;
    return is_null() ? *none : expect<Texts>(storage);
}

} // namespace opsrunbook::base
