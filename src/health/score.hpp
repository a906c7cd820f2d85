#pragma once
// The explained score.  A category starts at 100 and loses, for each of its checks, the check's points when
// the worst finding is CRITICAL and half of them when it is WARNING.  The overall score is the weighted mean
// of the categories that could be measured; a lethal finding caps it.

#include <string>
#include <vector>

#include "health/check.hpp"

namespace opsrunbook::health {

constexpr double lethal_cap = 30;
constexpr double excellent_above = 90;
constexpr double good_above = 75;

struct Lost {
    const Finding *finding;
    double points; // of the category's 100
};

struct CategoryScore {
    Category category = Category::vacuum;
    double score = 100;
    double weight = 0; // of the overall score, after re-normalisation; 0: not measured
    Status status = Status::ok;
    std::vector<Lost> lost; // most points first
    std::string unmeasured; // why, when the whole category is UNKNOWN
};

struct Score {
    double overall = 100;
    double before_cap = 100;
    std::string verdict; // Excellent, Good, Fair, Poor, Critical
    Status status = Status::ok;
    const Finding *lethal = nullptr;
    std::vector<CategoryScore> categories;
};

// The outcomes must outlive the score, which points into them.  Nothing measured at all: Status::unknown.
Score score_of(const std::vector<Outcome> &outcomes);

} // namespace opsrunbook::health
