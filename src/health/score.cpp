#include "health/score.hpp"

#include <algorithm>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

struct CategoryRow {
    Category category;
    std::string_view name;
    double weight;
};

// What stops a database altogether weighs more than what slows it down.
constexpr CategoryRow categories[] = {
    {Category::wraparound, "wraparound", 0.14},
    {Category::vacuum, "vacuum", 0.18},
    {Category::locks, "locks", 0.08},
    {Category::connections, "connections", 0.08},
    {Category::performance, "performance", 0.12},
    {Category::indexes, "indexes", 0.08},
    {Category::storage, "storage", 0.06},
    {Category::replication, "replication", 0.06},
    {Category::wal, "wal", 0.06},
    {Category::integrity, "integrity", 0.08},
    {Category::configuration, "configuration", 0.06},
    {Category::backup, "backup", 0.10},
    {Category::user, "user", 0.05},
};

const CategoryRow &row_of(Category category)
{
    return *std::find_if(std::begin(categories), std::end(categories),
                         [category](const CategoryRow &row) { return row.category == category; });
}

std::string verdict_of(double score)
{
    if (score > excellent_above)
        return "Excellent";
    if (score > good_above)
        return "Good";
    if (score > 60)
        return "Fair";
    return score > lethal_cap ? "Poor" : "Critical";
}

int severity(Status status)
{
    return status == Status::critical ? 2 : status == Status::warning ? 1 : 0;
}

CategoryScore score_category(Category category, const std::vector<Outcome> &outcomes)
{
    CategoryScore out;
    out.category = category;
    bool measured = false;
    for (const Outcome &outcome : outcomes) {
        if (outcome.check->category != category || !outcome.scored)
            continue;
        if (outcome.status == Status::unknown) {
            out.unmeasured = (outcome.findings.empty() ? outcome.muted : outcome.findings).front().message;
            continue;
        }
        measured = true;
        if (severity(outcome.status) > severity(out.status))
            out.status = outcome.status;
        if (outcome.status != Status::ok)
            out.lost.push_back({&outcome.findings.front(), outcome.status == Status::critical
                                                               ? outcome.check->points
                                                               : outcome.check->points / 2});
    }
    std::stable_sort(out.lost.begin(), out.lost.end(),
                     [](const Lost &a, const Lost &b) { return a.points > b.points; });
    for (Lost &lost : out.lost) {
        lost.points = std::min(lost.points, out.score); // a category has no more than 100 to lose
        out.score -= lost.points;
    }
    if (!measured)
        out.status = Status::unknown;
    else
        out.unmeasured.clear();
    return out;
}

} // namespace

std::string_view category_text(Category category)
{
    return row_of(category).name;
}

double category_weight(Category category)
{
    return row_of(category).weight;
}

Score score_of(const std::vector<Outcome> &outcomes)
{
    Score out;
    double total = 0;
    for (const CategoryRow &row : categories) {
        const bool present = std::any_of(outcomes.begin(), outcomes.end(), [&row](const Outcome &outcome) {
            return outcome.check->category == row.category && outcome.scored;
        });
        if (!present)
            continue;
        CategoryScore category = score_category(row.category, outcomes);
        category.weight = category.status == Status::unknown ? 0 : row.weight;
        total += category.weight;
        out.categories.push_back(std::move(category));
    }
    if (total == 0) {
        out.status = Status::unknown;
        out.verdict = "not measured";
        out.overall = out.before_cap = 0;
        return out;
    }
    out.overall = 0;
    for (CategoryScore &category : out.categories) {
        category.weight /= total;
        out.overall += category.weight * category.score;
    }
    out.before_cap = out.overall;
    for (const Outcome &outcome : outcomes)
        for (const Finding &finding : outcome.findings)
            if (outcome.scored && finding.lethal && finding.status == Status::critical && !out.lethal)
                out.lethal = &finding;
    if (out.lethal)
        out.overall = std::min(out.overall, lethal_cap);
    out.verdict = verdict_of(out.overall);
    out.status = out.overall > good_above ? Status::ok
                 : out.overall > 60       ? Status::warning
                                          : Status::critical;
    return out;
}

} // namespace opsrunbook::health
