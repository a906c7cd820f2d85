#include "maintenance/window.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "maintenance/knapsack.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

constexpr double shortest_seconds = 0.001, longest_seconds = 1e9;

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
    return "carried over: needs " + base::duration_text(item.seconds) + ", " + base::duration_text(left) +
           " left";
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
                        std::clamp(seconds, shortest_seconds, longest_seconds)};
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

    // A task that no worker has the time for is not tried: it would overrun by design, not by a wrong
    // prediction.
    const double longest = *window.seconds - schedule.first_free();
    std::vector<Item> possible;
    for (const Item &item : rest)
        if (item.seconds <= longest)
            possible.push_back(item);
    const double room = schedule.left(*window.seconds);
    const Choice choice = Knapsack(possible, room).solve();
    plan.benefit = choice.benefit;
    plan.benefit_at_most = choice.benefit_at_most;
    plan.exact = choice.exact;
    plan.seconds_left = room;
    for (size_t at = 0; at < possible.size(); ++at)
        if (choice.chosen[at]) {
            Scheduled &task = run(possible[at]);
            task.reason = fits_text(possible[at], task, *window.seconds);
            plan.seconds_left -= possible[at].seconds;
        }
    plan.seconds_left = std::max(0.0, plan.seconds_left);
    plan.ends = schedule.ends();

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
