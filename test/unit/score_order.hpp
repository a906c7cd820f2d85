#pragma once
// What plans are compared with: the order of PostgreSQL 19's autovacuum, and the exact optimum.  For the unit
// tests and bench/window.cpp.

#include <algorithm>
#include <cmath>
#include <vector>

#include "maintenance/window.hpp"

namespace opsrunbook::test {

using maintenance::Candidate;

// What a table looks like to PostgreSQL 19's autovacuum, and the task it would be for us.
struct ScoredTask {
    Candidate candidate;
    double score = 0;
};

// The score of relation_needs_vacanalyze() in PostgreSQL 19 with all weights 1: the greatest of the ratios to
// the thresholds; the age's ratio is raised to a power once the failsafe age is reached.
inline double autovacuum_score(double rows, double dead, double inserted, double modified, double xid_age)
{
    double age = xid_age / 200e6;
    if (xid_age >= 1.6e9)
        age = std::pow(age, std::max(1.0, xid_age / 100e6));
    const double vacuum = dead / (50 + 0.2 * rows), inserts = inserted / (1000 + 0.2 * rows);
    const double analyze = modified / (50 + 0.1 * rows);
    return std::max({age, vacuum, inserts, analyze});
}

// The comparator: tables in the order of their scores until the next one no longer fits, or, kinder, leaving
// out what does not fit.
inline double score_order_benefit(std::vector<ScoredTask> tables, double window, int workers, bool leave_out)
{
    std::stable_sort(tables.begin(), tables.end(),
                     [](const ScoredTask &a, const ScoredTask &b) { return a.score > b.score; });
    double left = window * workers, benefit = 0;
    for (const ScoredTask &one : tables) {
        if (one.candidate.seconds > left || one.candidate.seconds > window) {
            if (leave_out)
                continue;
            break;
        }
        left -= one.candidate.seconds;
        benefit += one.candidate.benefit;
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
