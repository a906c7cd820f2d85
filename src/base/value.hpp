#pragma once
// One SQL value as flows see it, in and out of the server.  Times are microseconds; instants count from the
// server's epoch (2000-01-01 00:00 UTC), so they compare and subtract without conversion.

#include <cstdint>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace opsrunbook::base {

struct Interval {
    int64_t microseconds = 0;
    double seconds() const { return static_cast<double>(microseconds) / 1e6; }
    auto operator<=>(const Interval &) const = default;
};

struct Timestamp {
    int64_t microseconds = 0;
    auto operator<=>(const Timestamp &) const = default;
    Interval operator-(Timestamp other) const { return {microseconds - other.microseconds}; }
    Timestamp operator+(Interval later) const { return {microseconds + later.microseconds}; }
};

constexpr Interval seconds(double count)
{
    return {static_cast<int64_t>(count * 1e6)};
}

struct Json {
    std::string text;
};

class Value {
public:
    using Texts = std::vector<std::string>;
    using Integers = std::vector<int64_t>;
    using Storage = std::variant<std::monostate, bool, int64_t, double, std::string, Interval, Timestamp,
                                 Json, Texts, Integers>;

    Value() = default;
    Value(std::nullopt_t) {}
    Value(bool value) : storage(value) {}
    template <std::integral T>
    requires(!std::same_as<T, bool>) Value(T value) : storage(static_cast<int64_t>(value)) {}
    Value(double value) : storage(value) {}
    Value(const char *value) : storage(std::string(value)) {}
    Value(std::string_view value) : storage(std::string(value)) {}
    Value(std::string value) : storage(std::move(value)) {}
    Value(Interval value) : storage(value) {}
    Value(Timestamp value) : storage(value) {}
    Value(Json value) : storage(std::move(value)) {}
    Value(Texts value) : storage(std::move(value)) {}
    Value(Integers value) : storage(std::move(value)) {}
    template <class T> Value(const std::optional<T> &value)
    {
        if (value)
            *this = Value(*value);
    }

    bool is_null() const { return std::holds_alternative<std::monostate>(storage); }
    const Storage &get() const { return storage; }

    // Readers: the value as the asked type; `otherwise` for NULL.  A numeric type converts to another.
    bool boolean(bool otherwise = false) const;
    int64_t integer(int64_t otherwise = 0) const;
    double real(double otherwise = 0) const;
    const std::string &text() const; // empty for NULL
    std::optional<Timestamp> timestamp() const;
    std::optional<Interval> interval() const;
    const Integers &integers() const; // empty for NULL
    const Texts &texts() const;       // empty for NULL

private:
    Storage storage;
};

} // namespace opsrunbook::base
