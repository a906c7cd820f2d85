#pragma once
// What plans are compared with: the order of PostgreSQL 19's autovacuum, and the exact optimum.  For the unit
// tests and bench/window.cpp.

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "maintenance/window.hpp"

namespace opsrunbook::test {

using maintenance::Candidate;

// What a table looks like to PostgreSQL 19's autovacuum.
struct TableState {
    double rows = 0, dead = 0, inserted = 0; // inserted: since the last VACUUM
    double modified = 0;                     // since the last ANALYZE
    double xid_age = 0, mxid_age = 0;
    double unfrozen = 1; // share of its pages
};

// The table's state, and the task it would be for us.
struct ScoredTask {
    Candidate candidate;
    TableState state;
};

// The score of relation_needs_vacanalyze() in PostgreSQL 19 with the default settings, all weights 1 among
// them: the greatest of the ratios to the thresholds, an age's raised to a power once its failsafe age is
// reached. Nothing when no threshold is passed: autovacuum leaves the table alone.
inline std::optional<double> autovacuum_score(const TableState &table)
{
    const auto age_score = [](double age, double limit) {
        constexpr double failsafe = 1.6e9;
        const double score = age / limit;
        return age < failsafe ? score : std::pow(score, std::max(1.0, age / 100e6));
    };
    const double score = std::max({age_score(table.xid_age, 200e6), age_score(table.mxid_age, 400e6),
                                   table.dead / std::min(50 + 0.2 * table.rows, 100e6),
                                   table.inserted / (1000 + 0.2 * table.rows * table.unfrozen),
                                   table.modified / (50 + 0.1 * table.rows)});
    return score > 1 ? std::optional(score) : std::nullopt;
}

// The comparator: tables in the order of their scores until the next one no longer fits, or, kinder, leaving
// out what does not fit.
inline double score_order_benefit(const std::vector<ScoredTask> &tables, double window, int workers,
                                  bool leave_out)
{
    std::vector<std::pair<double, const Candidate *>> order;
    for (const ScoredTask &one : tables)
        if (const auto score = autovacuum_score(one.state))
            order.emplace_back(*score, &one.candidate);
    std::stable_sort(order.begin(), order.end(),
                     [](const auto &a, const auto &b) { return a.first > b.first; });
    double left = window * workers, benefit = 0;
    for (const auto &[score, candidate] : order) {
        if (candidate->seconds > left || candidate->seconds > window) {
            if (leave_out)
                continue;
            break;
        }
        left -= candidate->seconds;
        benefit += candidate->benefit;
    }
    return benefit;
}

inline double brute_force(const std::vector<Candidate> &candidates, double window, int workers, double ageing)
{
    std::vector<double> seconds{0}, benefit{0};
    double best = 0;
    for (const Candidate &one : candidates) {
        if (one.seconds > window)
            continue;
        const size_t half = seconds.size();
        for (size_t at = 0; at < half; ++at) {
            seconds.push_back(seconds[at] + one.seconds);
            benefit.push_back(benefit[at] + maintenance::effective_benefit(one, ageing));
            if (seconds.back() <= window * workers)
                best = std::max(best, benefit.back());
        }
    }
    return best;
}

inline std::vector<Candidate> candidates_of(const std::vector<ScoredTask> &tables)
{
    std::vector<Candidate> out(tables.size());
    std::transform(tables.begin(), tables.end(), out.begin(),
                   [](const ScoredTask &one) { return one.candidate; });
    return out;
}

inline double total_seconds(const std::vector<Candidate> &candidates)
{
    double sum = 0;
    for (const Candidate &one : candidates)
        sum += one.seconds;
    return sum;
}

} // namespace opsrunbook::test
