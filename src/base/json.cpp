#include "base/json.hpp"

#include <cmath>
#include <cstdio>

#include "base/no_server_headers.hpp"

namespace opsrunbook::base {

std::string json_string(std::string_view text)
{
    std::string out = "\"";
    for (char c : text) {
        switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            if (static_cast<unsigned char>(c) < 0x20) {
                char escape[8];
                std::snprintf(escape, sizeof escape, "\\u%04x", c);
                out += escape;
            }
            else
                out += c;
        }
    }
    return out + "\"";
}

std::string json_number(double value)
{
    if (!std::isfinite(value))
        return "null";
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%.12g", value);
    return buffer;
}

JsonObject &JsonObject::raw(std::string_view key, std::string_view json)
{
    if (!members.empty())
        members += ", ";
    members += json_string(key);
    members += ": ";
    members += json;
    return *this;
}

} // namespace opsrunbook::base
