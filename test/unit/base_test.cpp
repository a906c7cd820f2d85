// Text for people and for SQL, JSON and values.
#include <cmath>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/value.hpp"

namespace {

using namespace opsrunbook::base;

TEST(Text, QuotesIdentifiersOnlyWhereTheServerWould)
{
    const std::pair<const char *, const char *> cases[] = {
        {"orders", "orders"},
        {"_x1", "_x1"},
        {"Orders", "\"Orders\""},
        {"1st", "\"1st\""},
        {"with space", "\"with space\""},
        {"say \"hi\"", "\"say \"\"hi\"\"\""},
        {"caf\u00e9", "\"caf\u00e9\""},
        {"", "\"\""},
        {"a$b", "\"a$b\""},
        {"select", "\"select\""},   // reserved
        {"table", "\"table\""},     // reserved
        {"between", "\"between\""}, // may be a column's name only
        {"left", "\"left\""},       // may be a function's or type's name
        {"zone", "zone"},           // unreserved, the last of the list
        {"abort", "abort"},         // unreserved, the first
        {"selecta", "selecta"},     // no key word
    };
    for (const auto &[name, quoted] : cases)
        EXPECT_EQ(quote_identifier(name), quoted) << name;
    EXPECT_EQ(qualified_name("My Schema", "user"), "\"My Schema\".\"user\"");
}

TEST(Text, QuotesLiterals)
{
    EXPECT_EQ(quote_literal("plain"), "'plain'");
    EXPECT_EQ(quote_literal("it's"), "'it''s'");
    EXPECT_EQ(quote_literal("a\\b'c"), "E'a\\\\b''c'");
    EXPECT_EQ(quote_literal(""), "''");
}

TEST(Text, Sizes)
{
    const std::pair<int64_t, const char *> cases[] = {
        {0, "0 bytes"},        {1023, "1023 bytes"},
        {1024, "1.0 kB"},      {10 * 1024, "10 kB"},
        {5ll << 30, "5.0 GB"}, {-(3ll << 20), "-3.0 MB"},
        {1ll << 50, "1.0 PB"}, {std::numeric_limits<int64_t>::max(), "8192 PB"},
    };
    for (const auto &[bytes, text] : cases)
        EXPECT_EQ(size_text(bytes), text);
}

TEST(Text, Counts)
{
    EXPECT_EQ(count_text(0), "0");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1000), "1,000");
    EXPECT_EQ(count_text(-1234567), "-1,234,567");
    EXPECT_EQ(count_text(std::numeric_limits<int64_t>::max()), "9,223,372,036,854,775,807");
    EXPECT_EQ(count_text(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
    EXPECT_EQ(plural(1, "table"), "1 table");
    EXPECT_EQ(plural(0, "table"), "0 tables");
    EXPECT_EQ(plural(1200, "index"), "1,200 indexes");
}

TEST(Text, Durations)
{
    const std::pair<double, const char *> cases[] = {
        {0, "0 ms"},    {0.34, "340 ms"},    {1, "1.0 s"},   {12.4, "12 s"},
        {59.4, "59 s"}, {59.6, "1 min"},     {60, "1 min"},  {200, "3 min 20 s"},
        {3600, "1 h"},  {7500, "2 h 5 min"}, {86400, "1 d"}, {4 * 86400 + 3 * 3600, "4 d 3 h"},
    };
    for (const auto &[seconds, text] : cases)
        EXPECT_EQ(duration_text(seconds), text) << seconds;
}

TEST(Text, Numbers)
{
    EXPECT_EQ(number_text(100), "100");
    EXPECT_EQ(number_text(2.5), "2.5");
    EXPECT_EQ(number_text(1.0 / 3), "0.33");
    EXPECT_EQ(number_text(-0.001), "0");
}

TEST(Text, FormatsAndJoins)
{
    EXPECT_EQ(format("%s has %d", "x", 3), "x has 3");
    EXPECT_EQ(format("%s", std::string(5000, 'a').c_str()).size(), 5000u);
    EXPECT_EQ(join({}, ", "), "");
    EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
}

TEST(Text, OneLineFoldsWhiteSpaceAndCutsBetweenCharacters)
{
    EXPECT_EQ(one_line("  SELECT\n\t1 ", 80), "SELECT 1 ");
    EXPECT_EQ(one_line("abcdef", 6), "abcdef");
    EXPECT_EQ(one_line("abcdef", 3), "abc...");
    EXPECT_EQ(one_line("a\u00e4\u00e4", 2), "a..."); // the cut would fall into the first umlaut
    EXPECT_EQ(one_line("a\u00e4\u00e4", 3), "a\u00e4...");
    EXPECT_EQ(one_line("\u20ac", 1), "...");
    EXPECT_EQ(one_line("", 0), "");
}

TEST(Json, EscapesStrings)
{
    EXPECT_EQ(json_string("a\"b\\c\nd\te"), "\"a\\\"b\\\\c\\nd\\te\"");
    EXPECT_EQ(json_string(std::string_view("\x01\x1f", 2)), "\"\\u0001\\u001f\"");
    EXPECT_EQ(json_string("\u00e4"), "\"\u00e4\"");
}

TEST(Json, NumbersThatJsonDoesNotHaveAreNull)
{
    EXPECT_EQ(json_number(1.5), "1.5");
    EXPECT_EQ(json_number(std::nan("")), "null");
    EXPECT_EQ(json_number(std::numeric_limits<double>::infinity()), "null");
}

TEST(Json, Objects)
{
    JsonObject object;
    EXPECT_EQ(object.text(), "{}");
    object.add("text", "x").add("flag", true).add("count", int64_t{7}).add("share", 0.5);
    object.add("none", std::optional<int>()).add("some", std::optional<int>(3)).raw("list", "[1]");
    EXPECT_EQ(object.text(),
              "{\"text\": \"x\", \"flag\": true, \"count\": 7, \"share\": 0.5, \"none\": null, "
              "\"some\": 3, \"list\": [1]}");
    EXPECT_EQ(object.json().text, object.text());
}

TEST(Value, NullReadsAsTheDefault)
{
    const Value null;
    EXPECT_TRUE(null.is_null());
    EXPECT_EQ(null.integer(5), 5);
    EXPECT_EQ(null.real(2.5), 2.5);
    EXPECT_TRUE(null.boolean(true));
    EXPECT_EQ(null.text(), "");
    EXPECT_FALSE(null.timestamp());
    EXPECT_FALSE(null.interval());
    EXPECT_TRUE(null.texts().empty());
    EXPECT_TRUE(null.integers().empty());
    EXPECT_TRUE(Value(std::optional<double>()).is_null());
    EXPECT_TRUE(Value(std::nullopt).is_null());
}

TEST(Value, KeepsItsType)
{
    EXPECT_EQ(Value(7).integer(), 7);
    EXPECT_EQ(Value(std::numeric_limits<uint32_t>::max()).integer(), 4294967295);
    EXPECT_EQ(Value("x").text(), "x");
    EXPECT_TRUE(Value(true).boolean());
    EXPECT_EQ(Value(std::optional<int>(3)).integer(), 3);
    EXPECT_EQ(Value(Value::Texts{"a", "b"}).texts().size(), 2u);
    EXPECT_EQ(Value(Timestamp{5}).timestamp()->microseconds, 5);
}

TEST(Value, NumbersConvertAndNothingElseDoes)
{
    EXPECT_EQ(Value(7.9).integer(), 7);
    EXPECT_EQ(Value(7).real(), 7.0);
    EXPECT_THROW(Value("7").integer(), std::logic_error);
    EXPECT_THROW(Value(7).text(), std::logic_error);
    EXPECT_THROW(Value(1).boolean(), std::logic_error);
    EXPECT_THROW(Value(Interval{1}).timestamp(), std::logic_error);
}

TEST(Value, TimesSubtract)
{
    const Timestamp start{1000000}, end{3500000};
    EXPECT_EQ((end - start).seconds(), 2.5);
    EXPECT_EQ(start + seconds(2.5), end);
    EXPECT_LT(start, end);
}

} // namespace
