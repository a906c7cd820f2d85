#include "advice/bloat/estimate.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

// A kind of page that the sample did not meet may be all waste or none: three of n pages could be so with a
// chance of 5 %.  Three imagined steps from one end to the other widen the interval by 240 / n points, so
// that a sample without any spread does not claim certainty.
constexpr double imagined_spread = 3 * 100.0 * 100.0 / 2;

// By position, each page once: a second look may have drawn a page of the first again.
void put_in_order(Stratum &stratum)
{
    std::sort(stratum.samples.begin(), stratum.samples.end(),
              [](const Sample &a, const Sample &b) { return a.position < b.position; });
    stratum.samples.erase(
        std::unique(stratum.samples.begin(), stratum.samples.end(),
                    [](const Sample &a, const Sample &b) { return a.position == b.position; }),
        stratum.samples.end());
}

double mean_of(const Stratum &stratum)
{
    double sum = 0;
    for (const Sample &sample : stratum.samples)
        sum += sample.value;
    return stratum.samples.empty() ? 0 : sum / static_cast<double>(stratum.samples.size());
}

// Of one page's value around its neighbourhood.
double page_variance(const Stratum &stratum)
{
    const size_t n = stratum.samples.size();
    if (n < 2)
        return 50.0 * 50.0; // nothing known: half of the pages all waste
    double squares = 0;
    for (size_t i = 1; i < n; ++i) {
        const double step = stratum.samples[i].value - stratum.samples[i - 1].value;
        squares += step * step;
    }
    return squares / (2 * static_cast<double>(n - 1));
}

// Two-stage sampling: what is uncertain within the pages counts in proportion to how many of them were read;
// for the others it is part of the differences between pages.
double own_variance(const Stratum &stratum)
{
    double sum = 0;
    for (const Sample &sample : stratum.samples)
        sum += sample.own_variance;
    const double n = static_cast<double>(stratum.samples.size());
    return n > 0 ? sum / n / static_cast<double>(stratum.pages) : 0;
}

double share_unread(const Stratum &stratum)
{
    return stratum.pages <= stratum.samples.size()
               ? 0
               : 1 - static_cast<double>(stratum.samples.size()) / static_cast<double>(stratum.pages);
}

// Student's quantile at 97.5 % by the first term of its expansion around the normal one.
double quantile(size_t degrees)
{
    const double z = confident;
    return z + (z * z * z + z) / (4 * static_cast<double>(std::max<size_t>(degrees, 1)));
}

uint64_t pages_of(const std::vector<Stratum> &strata)
{
    return std::accumulate(strata.begin(), strata.end(), uint64_t{0},
                           [](uint64_t sum, const Stratum &stratum) { return sum + stratum.pages; });
}

} // namespace

std::vector<uint32_t> spread_ranks(uint64_t pages, uint64_t count, uint64_t seed)
{
    count = std::min(count, pages);
    std::vector<uint32_t> ranks(count);
    if (count == pages) {
        std::iota(ranks.begin(), ranks.end(), 0u);
        return ranks;
    }
    std::mt19937_64 random(seed);
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t from = i * pages / count, to = (i + 1) * pages / count;
        ranks[i] = static_cast<uint32_t>(from + random() % (to - from));
    }
    return ranks;
}

Estimate estimate_mean(std::vector<Stratum> &strata)
{
    const double all = static_cast<double>(pages_of(strata));
    if (all == 0)
        return {};
    Estimate estimate;
    double variance = 0;
    size_t degrees = 0;
    for (Stratum &stratum : strata) {
        if (stratum.pages == 0)
            continue;
        put_in_order(stratum);
        const double weight = static_cast<double>(stratum.pages) / all;
        const double n = static_cast<double>(std::max<size_t>(stratum.samples.size(), 1));
        estimate.mean += weight * mean_of(stratum);
        const double of_pages =
            share_unread(stratum) * (page_variance(stratum) / n + imagined_spread / (n * n));
        variance += weight * weight * (of_pages + own_variance(stratum));
        degrees += stratum.samples.empty() ? 0 : stratum.samples.size() - 1;
    }
    estimate.half_width = quantile(degrees) * std::sqrt(variance);
    return estimate;
}

std::vector<uint64_t> allocate(std::vector<Stratum> &looked_at, double half_width, uint64_t budget)
{
    const double all = static_cast<double>(pages_of(looked_at));
    std::vector<double> share; // of the pages to read
    double spread = 0, variance = 0;
    for (Stratum &stratum : looked_at) {
        put_in_order(stratum);
        const double weight = all > 0 ? static_cast<double>(stratum.pages) / all : 0;
        // The first look may have met less spread than there is: at least two points, and a little more.
        const double page = std::max(2.0, 1.15 * std::sqrt(page_variance(stratum)));
        share.push_back(weight * page);
        spread += weight * page;
        variance += weight * page * page;
    }
    std::vector<uint64_t> counts;
    if (spread <= 0) {
        counts.assign(looked_at.size(), 0);
        return counts;
    }
    const double allowed = half_width / confident;
    const double needed = spread * spread / (allowed * allowed + variance / all);
    const double total = std::min(needed, static_cast<double>(budget));
    for (size_t i = 0; i < looked_at.size(); ++i) {
        const auto wanted = static_cast<uint64_t>(std::min(total * share[i] / spread + 0.999, total));
        counts.push_back(
            std::min(looked_at[i].pages, std::max<uint64_t>(wanted, looked_at[i].samples.size())));
    }
    return counts;
}

} // namespace opsrunbook::advice
