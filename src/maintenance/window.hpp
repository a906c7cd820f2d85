#pragma once
// Which maintenance tasks run in this window, in which order, and which are carried over to the next.
//
// Emergency tasks (wraparound) run first and ignore the window; forced tasks (named by the user) come next
// and may overrun it.  The rest is a knapsack: the greatest benefit whose predicted seconds fit into the
// workers' remaining time.  It is solved exactly by branch and bound; when that runs out of its fixed amount
// of work, the best plan found until then stands, at the least greedy by benefit per second improved by
// exchanges.  Twenty tasks are always exact.
//
// A worker takes the next task of the list when it is free, so every task of the knapsack starts inside the
// window and a worker overruns it by a part of its last task at most.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace opsrunbook::maintenance {

struct Candidate {
    int64_t id = 0;     // the caller's; equal ids are different tasks
    double benefit = 0; // >= 0, in one unit for all; less, or no number, counts as 0
    double seconds = 1; // predicted, > 0; less counts as a millisecond
    bool emergency = false;
    bool forced = false;  // the user asked for exactly this one
    int carried_over = 0; // windows it has waited for already
    int priority = 0;     // each step doubles the benefit, a negative one halves it
};

struct Window {
    std::optional<double> seconds; // nothing: no limit
    int workers = 1;
    double ageing = 1.5; // what each carried-over window multiplies the benefit with; at least 1
};

// The benefit that tasks are compared by: with priority and ageing.  It grows geometrically with the windows
// waited, so no steady stream of better tasks starves one for more than logarithmically many windows.
double effective_benefit(const Candidate &candidate, double ageing);

struct Scheduled {
    size_t candidate = 0; // index into the candidates
    int64_t id = 0;
    int worker = 0;    // from 0, as predicted
    double starts = 0; // predicted seconds from the start of the window
    double ends = 0;
    std::string reason; // "fits: 12.3 benefit/min"
};

struct CarriedOver {
    size_t candidate = 0;
    int64_t id = 0;
    std::string reason; // "carried over: needs 8 min, 2 min left"
};

struct WindowPlan {
    std::vector<Scheduled> now;     // in the order to start them
    std::vector<CarriedOver> later; // greatest benefit per second first
    double benefit = 0;             // effective, of the tasks the knapsack chose
    double benefit_at_most = 0;     // no choice of tasks has more; equal to benefit when exact
    bool exact = true;              // the knapsack is proven optimal
    double seconds_left = 0; // that the knapsack did not use, of all workers together; 0 without a window
    double ends = 0;         // predicted seconds until the last worker is done
};

WindowPlan plan_window(const std::vector<Candidate> &candidates, const Window &window);

} // namespace opsrunbook::maintenance
