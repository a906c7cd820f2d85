#pragma once
// Writes JSON objects for evidence columns and payloads; reading JSON is the server's work.

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/value.hpp"

namespace opsrunbook::base {

std::string json_string(std::string_view text); // quoted and escaped
std::string json_number(double value);          // null for NaN and infinities

class JsonObject {
public:
    JsonObject &add(std::string_view key, std::string_view text) { return raw(key, json_string(text)); }
    JsonObject &add(std::string_view key, const char *text) { return raw(key, json_string(text)); }
    JsonObject &add(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
    JsonObject &add(std::string_view key, double value) { return raw(key, json_number(value)); }
    template <std::integral T>
    requires(!std::same_as<T, bool>) JsonObject &add(std::string_view key, T value)
    {
        return raw(key, std::to_string(value));
    }
    template <class T> JsonObject &add(std::string_view key, const std::optional<T> &value)
    {
        return value ? add(key, *value) : raw(key, "null");
    }
    JsonObject &raw(std::string_view key, std::string_view json); // json: already valid JSON

    std::string text() const { return "{" + members + "}"; }
    Json json() const { return {text()}; }

private:
    std::string members;
};

} // namespace opsrunbook::base
