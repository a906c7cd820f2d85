#include "health/thresholds.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

// How closely a row's object names something: exact names beat globs, longer globs beat shorter ones.
size_t specificity(const std::string &object)
{
    constexpr size_t exact = 1u << 20;
    return object.find('*') == std::string::npos && !object.empty() ? exact : object.size();
}

} // namespace

std::string_view direction_text(Direction direction)
{
    return direction == Direction::above ? "above" : "below";
}

bool glob_matches(std::string_view pattern, std::string_view text)
{
    const size_t star = pattern.find('*');
    if (star == std::string_view::npos)
        return pattern == text;
    if (text.substr(0, star) != pattern.substr(0, star))
        return false;
    const std::string_view rest = pattern.substr(star + 1);
    for (size_t from = star; from <= text.size(); ++from)
        if (glob_matches(rest, text.substr(from)))
            return true;
    return false;
}

const ThresholdRow *Thresholds::find(std::string_view metric, std::string_view object) const
{
    const ThresholdRow *best = nullptr;
    for (const ThresholdRow &row : rows)
        if (row.metric == metric && (row.object.empty() || glob_matches(row.object, object)))
            if (!best || specificity(row.object) > specificity(best->object))
                best = &row;
    return best;
}

} // namespace opsrunbook::health
