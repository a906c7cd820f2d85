#pragma once
// Text for people and for SQL: quoting in one place, sizes, counts and durations in one spelling.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opsrunbook::base {

std::string quote_identifier(std::string_view name); // as the server's: only where it must be
std::string quote_literal(std::string_view text);
std::string qualified_name(std::string_view schema, std::string_view name); // both quoted

std::string size_text(int64_t bytes);  // "12 kB", "3.4 GB": powers of 1024, as pg_size_pretty() words them
std::string count_text(int64_t count); // "1,234,567"
std::string plural(int64_t count, std::string_view noun); // "1 table", "1,200 tables", "3 indexes"
std::string duration_text(double seconds); // "340 ms", "12 s", "3 min 20 s", "2 h 5 min", "4 d 3 h"
std::string number_text(double value);     // at most two decimals, no trailing zeros

std::string format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
std::string join(const std::vector<std::string> &parts, std::string_view separator);
std::string one_line(std::string_view text,
                     size_t limit); // white space folded, cut between characters (UTF-8)

} // namespace opsrunbook::base
