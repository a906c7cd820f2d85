#include "advice/bloat/triage.hpp"

#include <algorithm>
#include <numeric>

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

double suspected_waste(const Candidate &candidate)
{
    return static_cast<double>(candidate.pages) * candidate.suspicion;
}

} // namespace

std::vector<size_t> by_urgency(const std::vector<Candidate> &candidates)
{
    std::vector<size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&candidates](size_t i, size_t j) {
        const Candidate &a = candidates[i], &b = candidates[j];
        return a.waited_seconds != b.waited_seconds ? a.waited_seconds > b.waited_seconds
                                                    : suspected_waste(a) > suspected_waste(b);
    });
    return order;
}

std::vector<uint64_t> allot(const std::vector<Candidate> &candidates, const Triage &triage)
{
    std::vector<uint64_t> allotted(candidates.size(), 0);
    std::vector<size_t> order = by_urgency(candidates);
    std::erase_if(order, [&](size_t i) { return candidates[i].pages < triage.smallest; });
    // The highest cap a relation under which all fit; where not even the least fits, the last ones get
    // nothing.
    uint64_t low = std::min(triage.least, triage.most), high = triage.most;
    const auto total = [&](uint64_t cap) {
        uint64_t sum = 0;
        for (const size_t i : order)
            sum += std::min(candidates[i].pages, cap);
        return sum;
    };
    while (low < high) {
        const uint64_t cap = (low + high + 1) / 2;
        if (total(cap) <= triage.budget)
            low = cap;
        else
            high = cap - 1;
    }
    uint64_t left = triage.budget;
    for (const size_t i : order) {
        const uint64_t pages = std::min(candidates[i].pages, low);
        if (pages > left)
            continue;
        allotted[i] = low;
        left -= pages;
    }
    return allotted;
}

} // namespace opsrunbook::advice
