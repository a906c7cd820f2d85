#pragma once
// Thresholds as data: the registry's defaults, overridden by the rows of opsrunbook.threshold.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsrunbook::health {

enum class Direction { above, below }; // which side of a threshold is bad
std::string_view direction_text(Direction direction);

struct ThresholdRow {
    std::string metric;
    std::string object; // "": every object; "s.t": one; "s.*" and other LIKE-free globs with '*': many
    std::optional<double> warning, critical;
    bool enabled = true;
};

class Thresholds {
public:
    Thresholds() = default;
    explicit Thresholds(std::vector<ThresholdRow> rows_) : rows(std::move(rows_)) {}

    // The row that speaks for an object: the most specific one, an exact name before a longer glob before a
    // shorter one before "".  nullptr: the check's own defaults count.
    const ThresholdRow *find(std::string_view metric, std::string_view object) const;

private:
    std::vector<ThresholdRow> rows;
};

bool glob_matches(std::string_view pattern, std::string_view text); // '*' stands for any run of characters

} // namespace opsrunbook::health
