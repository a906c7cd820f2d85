#include "maintenance/window.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

constexpr int search_steps = 1 << 22;   // 2^21 nodes are the whole tree of 20 tasks
constexpr int exchange_steps = 1 << 22; // pairs compared
constexpr double shortest_seconds = 0.001;

// A candidate with its numbers made comparable.
struct Item {
    size_t candidate;
    int64_t id;
    double benefit;
    double seconds;

    double rate() const { return benefit / seconds; }
};

bool better_rate(const Item &a, const Item &b)
{
    if (a.rate() != b.rate())
        return a.rate() > b.rate();
    return a.id < b.id;
}

bool longer(const Item &a, const Item &b)
{
    if (a.seconds != b.seconds)
        return a.seconds > b.seconds;
    return a.id < b.id;
}

struct Choice {
    std::vector<bool> chosen;
    double benefit = 0;
    double benefit_at_most = 0;
    bool exact = true;
};

// Maximises the benefit within `room` seconds; the items stand by falling benefit per second.
class Knapsack {
public:
    Knapsack(const std::vector<Item> &items_, double room_) : items(items_), room(room_)
    {
        seconds_before.push_back(0);
        benefit_before.push_back(0);
        for (const Item &item : items) {
            seconds_before.push_back(seconds_before.back() + item.seconds);
            benefit_before.push_back(benefit_before.back() + item.benefit);
        }
        best.chosen.assign(items.size(), false);
    }

    Choice solve()
    {
        greedy();
        exchange();
        best.exact = search();
        best.benefit_at_most = best.exact ? best.benefit : bound(0, room, 0);
        return best;
    }

private:
    // What the items from `next` on can add at most: the last one that no longer fits counts in part.
    double bound(size_t next, double time_left, double benefit) const
    {
        const auto past = std::upper_bound(seconds_before.begin() + static_cast<std::ptrdiff_t>(next) + 1,
                                           seconds_before.end(), seconds_before[next] + time_left);
        const auto stop = static_cast<size_t>(past - seconds_before.begin()) - 1;
        benefit += benefit_before[stop] - benefit_before[next];
        if (stop < items.size())
            benefit += (time_left - (seconds_before[stop] - seconds_before[next])) * items[stop].rate();
        return benefit;
    }

    void greedy()
    {
        left = room;
        fill();
    }

    void fill()
    {
        for (size_t at = 0; at < items.size(); ++at)
            if (!best.chosen[at] && items[at].seconds <= left) {
                best.chosen[at] = true;
                best.benefit += items[at].benefit;
                left -= items[at].seconds;
            }
    }

    // Puts one task in another's place while that gains, then fills the gap.
    void exchange()
    {
        int steps = exchange_steps;
        for (bool improved = true; improved;) {
            improved = false;
            for (size_t in = 0; in < items.size(); ++in)
                for (size_t out = 0; out < items.size() && !best.chosen[in]; ++out) {
                    if (--steps < 0)
                        return;
                    if (!best.chosen[out] || items[in].benefit <= items[out].benefit ||
                        items[in].seconds - items[out].seconds > left)
                        continue;
                    best.chosen[out] = false;
                    best.chosen[in] = true;
                    best.benefit += items[in].benefit - items[out].benefit;
                    left -= items[in].seconds - items[out].seconds;
                    improved = true;
                }
            fill();
        }
    }

    // Depth first, taking each item before leaving it out.  Returns whether it came to the end of the tree.
    bool search()
    {
        struct Taken {
            size_t item;
            double left, benefit; // before it was taken
        };
        std::vector<Taken> taken;
        size_t next = 0;
        double unused = room, benefit = 0;
        for (int steps = search_steps; steps > 0; --steps) {
            if (bound(next, unused, benefit) > best.benefit * (1 + 1e-12)) {
                if (next < items.size()) {
                    if (items[next].seconds <= unused) {
                        taken.push_back({next, unused, benefit});
                        unused -= items[next].seconds;
                        benefit += items[next].benefit;
                    }
                    ++next;
                    continue;
                }
                best.benefit = benefit;
                best.chosen.assign(items.size(), false);
                for (const Taken &one : taken)
                    best.chosen[one.item] = true;
            }
            if (taken.empty())
                return true;
            next = taken.back().item + 1;
            unused = taken.back().left;
            benefit = taken.back().benefit;
            taken.pop_back();
        }
        return false;
    }

    const std::vector<Item> &items;
    const double room;
    double left = 0; // of room, beside what best has chosen
    std::vector<double> seconds_before, benefit_before; // of the first n items
    Choice best;
};

// The workers and what they are given, each task to the one that is free first.
class Schedule {
public:
    explicit Schedule(int workers) : loads(static_cast<size_t>(std::max(workers, 1)), 0.0) {}

    Scheduled give(const Item &item)
    {
        const auto worker = std::min_element(loads.begin(), loads.end());
        const double starts = *worker;
        *worker += item.seconds;
        return {item.candidate, item.id, static_cast<int>(worker - loads.begin()), starts, *worker, {}};
    }
    double first_free() const { return *std::min_element(loads.begin(), loads.end()); }
    double ends() const { return *std::max_element(loads.begin(), loads.end()); }
    double left(double window) const
    {
        double sum = 0;
        for (const double load : loads)
            sum += std::max(0.0, window - load);
        return sum;
    }

private:
    std::vector<double> loads;
};

std::string rate_text(const Item &item)
{
    return base::format("%.3g benefit/min", item.rate() * 60);
}

std::string fits_text(const Item &item, const Scheduled &task, double window)
{
    std::string text = "fits: " + rate_text(item);
    if (task.ends > window)
        text += ", ends " + base::duration_text(task.ends - window) + " after the window";
    return text;
}

std::string too_long_text(const Item &item, double window, double longest)
{
    std::string text = "carried over: needs " + base::duration_text(item.seconds);
    if (item.seconds > window)
        return text + ", longer than the window of " + base::duration_text(std::max(0.0, window));
    return text + ", " + base::duration_text(std::max(0.0, longest)) + " left after urgent tasks";
}

std::string later_text(const Item &item, double left)
{
    return "carried over: needs " + base::duration_text(item.seconds) + ", " + base::duration_text(left) + " left";
}

} // namespace

double effective_benefit(const Candidate &candidate, double ageing)
{
    constexpr int most_windows = 100, most_priority = 30; // keeps the numbers finite and comparable
    if (!std::isfinite(candidate.benefit) || candidate.benefit <= 0)
        return 0;
    return std::ldexp(candidate.benefit, std::clamp(candidate.priority, -most_priority, most_priority)) *
           std::pow(std::max(ageing, 1.0), std::clamp(candidate.carried_over, 0, most_windows));
}

WindowPlan plan_window(const std::vector<Candidate> &candidates, const Window &window)
{
    std::vector<Item> emergency, forced, rest;
    for (size_t at = 0; at < candidates.size(); ++at) {
        const Candidate &candidate = candidates[at];
        const double seconds = std::isnan(candidate.seconds) ? shortest_seconds : candidate.seconds;
        const Item item{at, candidate.id, effective_benefit(candidate, window.ageing),
                        std::max(seconds, shortest_seconds)};
        (candidate.emergency ? emergency : candidate.forced ? forced : rest).push_back(item);
    }
    std::sort(emergency.begin(), emergency.end(), longer);
    std::sort(forced.begin(), forced.end(), longer);
    std::sort(rest.begin(), rest.end(), better_rate);

    WindowPlan plan;
    Schedule schedule(window.workers);
    const auto run = [&plan, &schedule](const Item &item) -> Scheduled & {
        return plan.now.emplace_back(schedule.give(item));
    };
    for (const Item &item : emergency)
        run(item).reason = "emergency: runs whatever the window";
    for (const Item &item : forced)
        run(item).reason = "asked for by name: runs whatever the window";

    if (!window.seconds) {
        for (const Item &item : rest) {
            run(item).reason = "no window: " + rate_text(item);
            plan.benefit += item.benefit;
        }
        plan.benefit_at_most = plan.benefit;
        plan.ends = schedule.ends();
        return plan;
    }

    // A task that no worker has the time for is not tried: it would overrun by design, not by a wrong prediction.
    const double longest = *window.seconds - schedule.first_free();
    std::vector<Item> possible;
    for (const Item &item : rest)
        if (item.seconds <= longest)
            possible.push_back(item);
    const Choice choice = Knapsack(possible, schedule.left(*window.seconds)).solve();
    plan.benefit = choice.benefit;
    plan.benefit_at_most = choice.benefit_at_most;
    plan.exact = choice.exact;
    for (size_t at = 0; at < possible.size(); ++at)
        if (choice.chosen[at]) {
            Scheduled &task = run(possible[at]);
            task.reason = fits_text(possible[at], task, *window.seconds);
        }
    plan.ends = schedule.ends();
    plan.seconds_left = schedule.left(*window.seconds);

    size_t at = 0; // into possible, which keeps the order of rest
    for (const Item &item : rest) {
        if (item.seconds > longest)
            plan.later.push_back({item.candidate, item.id, too_long_text(item, *window.seconds, longest)});
        else if (!choice.chosen[at++])
            plan.later.push_back({item.candidate, item.id, later_text(item, plan.seconds_left)});
    }
    return plan;
}

} // namespace opsrunbook::maintenance
