// How much of a window's possible benefit a plan takes, beside the exact optimum and beside the order of
// PostgreSQL 19's autovacuum, on tables like those of real databases.  Part of bench/maintenance.sh.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include "maintenance/window.hpp"
#include "score_order.hpp"

using namespace opsrunbook;
using maintenance::Candidate;
using test::ScoredTask;

namespace {

// Many small tables and few large ones: rows log-normal around 20,000.  Index scans are as unevenly spread; a
// sequential scan is the rarer the larger the table is.  Dead rows from a hundredth of the table to as many
// as live ones.  The benefit is what plan.cpp makes of it, the time that of VACUUM at 300 MB/s, whose indexes
// are half the heap.
ScoredTask random_table(std::mt19937 &random, int64_t id)
{
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> unit;
    const double rows = std::clamp(std::exp(std::log(2e4) + 2.5 * normal(random)), 100.0, 1e10);
    const double bytes = rows * std::exp(std::log(120) + 0.6 * normal(random));
    const double dead = rows * std::pow(10.0, -2 + 2 * unit(random));
    const double index_scans = std::exp(std::log(1e4) + 3 * normal(random));
    const double seq_scans = std::exp(std::log(20) + 2 * normal(random)) / (1 + rows / 1e5);
    const double bytes_seen = bytes * (0.05 + 0.95 * unit(random)); // the other pages are all-visible
    ScoredTask out;
    out.candidate.id = id;
    out.candidate.benefit = dead / (rows + dead) * (bytes * (1 + seq_scans) + 8192 * index_scans);
    out.candidate.seconds = 0.02 + (bytes_seen + 0.5 * bytes) / 300e6;
    out.state = {rows, dead,        dead * unit(random), dead * (1 + unit(random)), 200e6 * unit(random),
                 0,    unit(random)};
    return out;
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double least(const std::vector<double> &values)
{
    return *std::min_element(values.begin(), values.end());
}

void measure(size_t tables, int workers, int databases)
{
    std::mt19937 random(static_cast<unsigned>(tables * 10 + static_cast<size_t>(workers)));
    std::vector<double> of_optimum, of_bound, over_stopping, over_leaving_out;
    double ours = 0, stopping = 0, leaving_out = 0;
    for (int at = 0; at < databases; ++at) {
        std::vector<ScoredTask> scored;
        for (size_t table = 0; table < tables; ++table)
            scored.push_back(random_table(random, static_cast<int64_t>(table)));
        const std::vector<Candidate> candidates = test::candidates_of(scored);
        maintenance::Window window;
        window.workers = workers;
        window.seconds = test::total_seconds(candidates) / 4 / workers;
        const auto plan = maintenance::plan_window(candidates, window);
        const double stops = test::score_order_benefit(scored, *window.seconds, workers, false);
        const double leaves = test::score_order_benefit(scored, *window.seconds, workers, true);
        if (tables <= 20)
            of_optimum.push_back(plan.benefit /
                                 test::brute_force(candidates, *window.seconds, workers, window.ageing));
        of_bound.push_back(plan.benefit / plan.benefit_at_most);
        over_stopping.push_back(plan.benefit / std::max(stops, 1e-9));
        over_leaving_out.push_back(plan.benefit / std::max(leaves, 1e-9));
        ours += plan.benefit;
        stopping += stops;
        leaving_out += leaves;
    }
    std::printf("  %6zu %7d ", tables, workers);
    if (of_optimum.empty())
        std::printf("%21s ", "");
    else
        std::printf("%9.1f %% (%5.1f %%) ", 100 * median(of_optimum), 100 * least(of_optimum));
    std::printf("%8.1f %% (%5.1f %%) %8.2f (%5.2f) %7.2f %8.2f (%5.2f) %7.2f\n", 100 * median(of_bound),
                100 * least(of_bound), median(over_stopping), least(over_stopping), ours / stopping,
                median(over_leaving_out), least(over_leaving_out), ours / leaving_out);
}

// Real tables: a line each of benefit, seconds, rows, dead, inserted and modified rows, ages of the oldest
// transaction and multixact, share of pages not frozen.
int measure_file(const char *file, int workers)
{
    std::ifstream in(file);
    std::vector<ScoredTask> scored;
    ScoredTask one;
    while (in >> one.candidate.benefit >> one.candidate.seconds >> one.state.rows >> one.state.dead >>
           one.state.inserted >> one.state.modified >> one.state.xid_age >> one.state.mxid_age >>
           one.state.unfrozen) {
        one.candidate.id = static_cast<int64_t>(scored.size());
        scored.push_back(one);
    }
    const std::vector<Candidate> candidates = test::candidates_of(scored);
    constexpr size_t brute_force_reaches = 24;
    if (!in.eof() || scored.empty() || scored.size() > brute_force_reaches) {
        std::fprintf(stderr, "%s: 1 to %zu lines of nine numbers are needed\n", file, brute_force_reaches);
        return 1;
    }
    maintenance::Window window;
    window.workers = workers;
    window.seconds = test::total_seconds(candidates) / 4 / workers;
    const double ours = maintenance::plan_window(candidates, window).benefit;
    std::printf(
        "  %zu tasks, %d workers, a window of %.0f ms: %.1f %% of the exact optimum, %.2f x the order of "
        "PostgreSQL 19, %.2f x the same leaving out what does not fit\n",
        scored.size(), workers, 1000 * *window.seconds,
        100 * ours / test::brute_force(candidates, *window.seconds, workers, window.ageing),
        ours / test::score_order_benefit(scored, *window.seconds, workers, false),
        ours / test::score_order_benefit(scored, *window.seconds, workers, true));
    return 0;
}

} // namespace

int main(int count, char **arguments)
{
    if (count > 2)
        return measure_file(arguments[1], std::atoi(arguments[2]));
    const int databases = count > 1 ? std::atoi(arguments[1]) : 200;
    std::printf(
        "  %d databases of each size, a window of a quarter of the work; medians, the least in brackets;\n"
        "  \"all\": benefit of all databases together\n",
        databases);
    std::printf("  %6s %7s %21s %20s %24s %24s\n", "tables", "workers", "of the exact optimum",
                "of an upper bound", "x score order, stopping", "x score order, skipping");
    std::printf("  %6s %7s %21s %20s %16s %7s %16s %7s\n", "", "", "", "", "", "all", "", "all");
    for (const size_t tables : {size_t{20}, size_t{200}, size_t{2000}})
        for (const int workers : {1, 2})
            measure(tables, workers, databases);
}
