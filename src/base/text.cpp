#include "base/text.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "base/no_server_headers.hpp"

namespace opsrunbook::base {

namespace {

struct Keyword {
    std::string_view word;
    bool unreserved;
};

// The key words of the server this is built for, from its own list (a table of macros, no server code).
constexpr bool UNRESERVED_KEYWORD = true, COL_NAME_KEYWORD = false, TYPE_FUNC_NAME_KEYWORD = false,
               RESERVED_KEYWORD = false;
constexpr Keyword keywords[] = {
#define PG_KEYWORD(word, token, category, label) {word, category},
#include "parser/kwlist.h"
#undef PG_KEYWORD
};

constexpr bool before(const Keyword &keyword, std::string_view word)
{
    return keyword.word < word;
}
static_assert(std::is_sorted(std::begin(keywords), std::end(keywords),
                             [](const Keyword &a, const Keyword &b) { return a.word < b.word; }));

std::string quoted(std::string_view text, char mark)
{
    std::string out(1, mark);
    for (char c : text) {
        if (c == mark)
            out += mark;
        out += c;
    }
    return out + mark;
}

} // namespace

// The server's own rule: bare when it is made of lower-case letters, digits and underscores and is no key
// word other than an unreserved one.
std::string quote_identifier(std::string_view name)
{
    const auto lower = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
    bool bare = !name.empty() && lower(name[0]);
    for (char c : name)
        bare = bare && (lower(c) || (c >= '0' && c <= '9'));
    const Keyword *const keyword = std::lower_bound(std::begin(keywords), std::end(keywords), name, before);
    bare = bare && (keyword == std::end(keywords) || keyword->word != name || keyword->unreserved);
    return bare ? std::string(name) : quoted(name, '"');
}

std::string quote_literal(std::string_view text)
{
    const bool escape = text.find('\\') != std::string_view::npos;
    if (!escape)
        return quoted(text, '\'');
    std::string doubled;
    for (char c : text) {
        if (c == '\\')
            doubled += c;
        doubled += c;
    }
    return "E" + quoted(doubled, '\'');
}

std::string qualified_name(std::string_view schema, std::string_view name)
{
    return quote_identifier(schema) + "." + quote_identifier(name);
}

std::string size_text(int64_t bytes)
{
    static constexpr const char *units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    while (std::fabs(value) >= 1024 && unit + 1 < std::size(units)) {
        value /= 1024;
        ++unit;
    }
    return format(unit > 0 && std::fabs(value) < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

std::string count_text(int64_t count)
{
    std::string digits = std::to_string(count);
    if (count < 0)
        digits.erase(0, 1); // the sign; the least of all numbers has no absolute value
    for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
        digits.insert(static_cast<size_t>(at), ",");
    return (count < 0 ? "-" : "") + digits;
}

std::string plural(int64_t count, std::string_view noun)
{
    const char *const ending = count == 1 ? "" : noun.ends_with('x') || noun.ends_with('s') ? "es" : "s";
    return count_text(count) + " " + std::string(noun) + ending;
}

std::string duration_text(double seconds)
{
    if (seconds < 1)
        return format("%.0f ms", seconds * 1000);
    const auto whole = static_cast<long long>(std::llround(seconds));
    if (whole < 60)
        return format(seconds < 10 ? "%.1f s" : "%.0f s", seconds);
    if (whole < 3600)
        return whole % 60 ? format("%lld min %lld s", whole / 60, whole % 60)
                          : format("%lld min", whole / 60);
    if (whole < 86400)
        return whole / 60 % 60 ? format("%lld h %lld min", whole / 3600, whole / 60 % 60)
                               : format("%lld h", whole / 3600);
    return whole / 3600 % 24 ? format("%lld d %lld h", whole / 86400, whole / 3600 % 24)
                             : format("%lld d", whole / 86400);
}

std::string number_text(double value)
{
    std::string text = format("%.2f", value);
    while (text.back() == '0')
        text.pop_back();
    if (text.back() == '.')
        text.pop_back();
    return text == "-0" ? "0" : text;
}

std::string format(const char *pattern, ...)
{
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, pattern, arguments);
    va_end(arguments);
    std::string out(static_cast<size_t>(length < 0 ? 0 : length), '\0');
    std::vsnprintf(out.data(), out.size() + 1, pattern, again);
    va_end(again);
    return out;
}

std::string join(const std::vector<std::string> &parts, std::string_view separator)
{
    std::string out;
    for (const std::string &part : parts) {
        if (!out.empty())
            out += separator;
        out += part;
    }
    return out;
}

std::string one_line(std::string_view text, size_t limit)
{
    std::string out;
    for (char c : text) {
        const bool space = std::isspace(static_cast<unsigned char>(c));
        if (space && (out.empty() || out.back() == ' '))
            continue;
        out += space ? ' ' : c;
    }
    if (out.size() <= limit)
        return out;
    while (limit > 0 && (static_cast<unsigned char>(out[limit]) & 0xC0) == 0x80)
        --limit;
    return out.substr(0, limit) + "..."; // in ASCII, which every database encoding can show
}

} // namespace opsrunbook::base
