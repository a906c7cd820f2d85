#pragma once
// The choice of tasks behind window.hpp: exact by branch and bound for as long as its fixed amount of work
// reaches, the best of several greedy choices improved by exchanges otherwise.

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace opsrunbook::maintenance {

// A candidate with its numbers made comparable.
struct Item {
    size_t candidate;
    int64_t id;
    double benefit;
    double seconds;

    double rate() const { return benefit / seconds; }
};

struct Choice {
    std::vector<bool> chosen;
    double benefit = 0;
    double benefit_at_most = 0;
    bool exact = true;
};

// Maximises the benefit within `room` seconds; the items stand by falling benefit per second.
class Knapsack {
    static constexpr int search_steps = 1 << 21;   // the whole tree of 20 tasks
    static constexpr int exchange_steps = 1 << 20; // pairs compared

public:
    Knapsack(const std::vector<Item> &items_, double room_) : items(items_), room(room_), left(room_)
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
        fill();
        fill_beside_one();
        exchange();
        best.exact = search();
        best.benefit_at_most = best.exact ? best.benefit : bound(0, room, 0);
        return best;
    }

private:
    // What the items from `next` on can add at most: the last one that no longer fits counts in part.
    double bound(size_t next, double unused, double benefit) const
    {
        const auto past = std::upper_bound(seconds_before.begin() + static_cast<std::ptrdiff_t>(next) + 1,
                                           seconds_before.end(), seconds_before[next] + unused);
        const auto stop = static_cast<size_t>(past - seconds_before.begin()) - 1;
        benefit += benefit_before[stop] - benefit_before[next];
        if (stop < items.size())
            benefit += (unused - (seconds_before[stop] - seconds_before[next])) * items[stop].rate();
        return benefit;
    }

    // Greedy by benefit per second with what is not chosen yet.
    void fill()
    {
        for (size_t at = 0; at < items.size(); ++at)
            if (!best.chosen[at] && items[at].seconds <= left) {
                best.chosen[at] = true;
                best.benefit += items[at].benefit;
                left -= items[at].seconds;
            }
    }

    // A long task of great benefit no longer fits beside many short ones: begins with one such task at a
    // time.
    void fill_beside_one()
    {
        constexpr size_t tried = 100;
        std::vector<size_t> order(items.size());
        std::iota(order.begin(), order.end(), size_t{0});
        const size_t count = std::min(tried, order.size());
        std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                          [this](size_t a, size_t b) {
                              return items[a].benefit != items[b].benefit
                                         ? items[a].benefit > items[b].benefit
                                         : a < b;
                          });
        for (size_t at = 0; at < count; ++at) {
            const size_t first = order[at];
            if (items[first].seconds > room)
                continue;
            Choice before = best;
            const double left_before = left;
            best = Choice();
            best.chosen.assign(items.size(), false);
            best.chosen[first] = true;
            best.benefit = items[first].benefit;
            left = room - items[first].seconds;
            fill();
            if (best.benefit <= before.benefit) {
                best = std::move(before);
                left = left_before;
            }
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
    double left;                                        // of room, beside what best has chosen
    std::vector<double> seconds_before, benefit_before; // of the first n items
    Choice best;
};

} // namespace opsrunbook::maintenance
