#include "base/cron.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::base {

namespace {

struct Field {
    const char *name;
    int lowest;
    int highest;
    int last_of_all; // what `*` ends with: 7 is only another name for Sunday
    const char *example;
    std::string_view names; // of three letters each, for lowest and up
};

constexpr Field minute_field = {"minute", 0, 59, 59, "*/15", {}};
constexpr Field hour_field = {"hour", 0, 23, 23, "2-5", {}};
constexpr Field day_of_month_field = {"day of month", 1, 31, 31, "1,15", {}};
constexpr Field month_field = {"month", 1, 12, 12, "jan-mar", "janfebmaraprmayjunjulaugsepoctnovdec"};
constexpr Field day_of_week_field = {"day of week", 0, 7, 6, "mon-fri", "sunmontuewedthufrisat"};

struct Nickname {
    std::string_view name;
    const char *fields;
};

constexpr Nickname nicknames[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

constexpr char general_hint[] =
    "Write five fields, for example \"30 2 * * mon-fri\", or \"@daily\", or \"30 seconds\".";

std::string quoted(std::string_view text)
{
    constexpr size_t longest = 100;
    return "\"" + one_line(text, longest) + "\"";
}

[[noreturn]] void refuse_schedule(std::string_view text, const std::string &why)
{
    throw Error(ErrorKind::invalid_input, "invalid schedule", quoted(text) + ": " + why + ".", general_hint);
}

std::string lower(std::string_view text)
{
    std::string out(text);
    for (char &c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

std::vector<std::string_view> words(std::string_view text)
{
    constexpr std::string_view space = " \t\r\n\f\v";
    std::vector<std::string_view> out;
    for (size_t at = text.find_first_not_of(space); at != std::string_view::npos;) {
        const size_t end = std::min(text.find_first_of(space, at), text.size());
        out.push_back(text.substr(at, end - at));
        at = text.find_first_not_of(space, end);
    }
    return out;
}

// A plain number, without sign; nothing when it is none or does not fit.
std::optional<int> number(std::string_view text)
{
    int value = 0;
    if (text.empty() || !std::isdigit(static_cast<unsigned char>(text[0])))
        return std::nullopt;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

struct FieldSet {
    uint64_t values = 0;
    bool wildcard = false;
};

class FieldParser {
public:
    FieldParser(const Field &field_, std::string_view text_) : field(field_), text(text_) {}

    FieldSet parse() const
    {
        FieldSet set;
        set.wildcard = text[0] == '*';
        for (size_t at = 0; at <= text.size();) {
            const size_t end = std::min(text.find(',', at), text.size());
            set.values |= element(text.substr(at, end - at));
            at = end + 1;
        }
        return set;
    }

private:
    [[noreturn]] void refuse(const std::string &why) const
    {
        throw Error(ErrorKind::invalid_input, format("invalid %s in schedule", field.name),
                    quoted(text) + ": " + why + ".",
                    format("Write for example \"%s\" for the %s.", field.example, field.name));
    }

    int value(std::string_view word) const
    {
        if (word.empty())
            refuse("a value is missing");
        if (const std::optional<int> given = number(word)) {
            if (*given < field.lowest || *given > field.highest)
                refuse(format("%d is not between %d and %d", *given, field.lowest, field.highest));
            return *given;
        }
        constexpr size_t letters = 3;
        const std::string name = lower(word);
        for (size_t at = 0; name.size() == letters && at < field.names.size(); at += letters)
            if (field.names.substr(at, letters) == name)
                return field.lowest + static_cast<int>(at / letters);
        refuse(quoted(word) + " is not a " + field.name);
    }

    int step(std::string_view word) const
    {
        const std::optional<int> given = number(word);
        if (!given || *given < 1 || *given > field.highest)
            refuse(format("the step after \"/\" must be a number between 1 and %d", field.highest));
        return *given;
    }

    uint64_t element(std::string_view part) const
    {
        const size_t slash = part.find('/');
        const std::string_view range = part.substr(0, slash);
        const size_t dash = range.find('-');
        int first = field.lowest, last = field.last_of_all;
        if (range != "*") {
            first = last = value(range.substr(0, dash));
            if (dash != std::string_view::npos)
                last = value(range.substr(dash + 1));
            else if (slash != std::string_view::npos)
                refuse("a step needs \"*\" or a range before it");
            // "fri-sun" ends with the week.
            if (last == 0 && first > 0 && field.last_of_all < field.highest)
                last = field.highest;
            if (last < first)
                refuse("the range " + quoted(range) + " ends before it begins");
        }
        const int width = slash == std::string_view::npos ? 1 : step(part.substr(slash + 1));
        uint64_t bits = 0;
        for (int at = first; at <= last; at += width)
            bits |= uint64_t(1) << (at > field.last_of_all ? field.lowest : at);
        return bits;
    }

    const Field &field;
    std::string_view text;
};

// "30 seconds", "30 s" or "30s"; nothing when the text is no interval at all.
std::optional<Schedule> parse_seconds(std::string_view text, const std::vector<std::string_view> &parts)
{
    constexpr int most_seconds = 59;
    if (parts.size() > 2)
        return std::nullopt;
    const std::string first = lower(parts[0]);
    const size_t digits = std::min(first.find_first_not_of("0123456789"), first.size());
    const std::string unit = first.substr(digits) + (parts.size() == 2 ? lower(parts[1]) : "");
    if (digits == 0 || (parts.size() == 2 && digits != first.size()))
        return std::nullopt;
    if (unit != "s" && unit != "second" && unit != "seconds")
        return std::nullopt;
    const std::optional<int> count = number(std::string_view(first).substr(0, digits));
    if (!count || *count < 1 || *count > most_seconds)
        throw Error(ErrorKind::invalid_input, "invalid seconds in schedule",
                    quoted(text) + format(": the seconds must be between 1 and %d.", most_seconds),
                    "Write for example \"30 seconds\", or \"*/5 * * * *\" for every five minutes.");
    Schedule schedule;
    schedule.every_seconds = *count;
    return schedule;
}

// Days of the week make a date possible only where either field of days is enough.
bool has_a_date(const Schedule &schedule)
{
    constexpr int longest[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!schedule.any_day_of_month && !schedule.any_day_of_week)
        return true;
    for (unsigned month = 1; month <= 12; ++month)
        for (int day = 1; day <= longest[month]; ++day)
            if ((schedule.months >> month & 1) && (schedule.days_of_month >> day & 1))
                return true;
    return false;
}

Schedule parse_fields(const std::vector<std::string_view> &parts)
{
    const FieldSet minute = FieldParser(minute_field, parts[0]).parse();
    const FieldSet hour = FieldParser(hour_field, parts[1]).parse();
    const FieldSet day_of_month = FieldParser(day_of_month_field, parts[2]).parse();
    const FieldSet month = FieldParser(month_field, parts[3]).parse();
    const FieldSet day_of_week = FieldParser(day_of_week_field, parts[4]).parse();
    Schedule schedule;
    schedule.minutes = minute.values;
    schedule.hours = static_cast<uint32_t>(hour.values);
    schedule.days_of_month = static_cast<uint32_t>(day_of_month.values);
    schedule.months = static_cast<uint32_t>(month.values);
    schedule.days_of_week = static_cast<uint32_t>(day_of_week.values);
    schedule.any_minute = minute.wildcard;
    schedule.any_hour = hour.wildcard;
    schedule.any_day_of_month = day_of_month.wildcard;
    schedule.any_day_of_week = day_of_week.wildcard;
    if (!has_a_date(schedule))
        throw Error(ErrorKind::invalid_input, "invalid day of month in schedule",
                    quoted(std::string(parts[2]) + " " + std::string(parts[3])) +
                        ": no year has such a day in such a month.",
                    "Write for example \"28 2\" for a day that every February has.");
    return schedule;
}

} // namespace

bool Schedule::includes_day(unsigned month, unsigned day_of_month, unsigned day_of_week) const
{
    const bool by_month = days_of_month >> day_of_month & 1;
    const bool by_week = days_of_week >> day_of_week & 1;
    const bool both = any_day_of_month || any_day_of_week;
    return (months >> month & 1) && (both ? by_month && by_week : by_month || by_week);
}

Schedule parse_schedule(std::string_view text)
{
    constexpr size_t fields = 5;
    std::vector<std::string_view> parts = words(text);
    if (parts.empty())
        refuse_schedule(text, "it is empty");
    if (parts[0][0] == '@') {
        const std::string name = lower(parts[0]);
        for (const Nickname &nickname : nicknames)
            if (parts.size() == 1 && nickname.name == name)
                return parse_fields(words(nickname.fields));
        refuse_schedule(text, "no such nickname; there are @hourly, @daily, @midnight, @weekly, @monthly, "
                              "@yearly and @annually");
    }
    if (const std::optional<Schedule> seconds_schedule = parse_seconds(text, parts))
        return *seconds_schedule;
    if (parts.size() != fields)
        refuse_schedule(text, plural(static_cast<int64_t>(parts.size()), "field") + " where five belong");
    return parse_fields(parts);
}

} // namespace opsrunbook::base
