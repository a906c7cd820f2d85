#include "advice/bloat/measure.hpp"

#include <algorithm>
#include <optional>
#include <random>

#include "advice/bloat/estimate.hpp"
#include "advice/bloat/heap_page.hpp"
#include "advice/bloat/rebuilt_btree.hpp"
#include "base/text.hpp"
#include "pg/storage/page_sampler.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using observed::Bloat;
using observed::BtreePage;
using observed::HeapPage;
using observed::page_bytes;

uint64_t seed()
{
    std::random_device source;
    return uint64_t{source()} << 32 | source();
}

double percent(double bytes)
{
    return 100 * bytes / page_bytes;
}

double clamped(double pct)
{
    return std::clamp(pct, 0.0, 100.0);
}

std::vector<Stratum> strata_of(const pg::PageSampler &sampler, const std::vector<HeapPage> (&read)[2],
                               double (*value)(const HeapPage &))
{
    std::vector<Stratum> strata(2);
    strata[0].pages = sampler.pages - sampler.all_visible_pages;
    strata[1].pages = sampler.all_visible_pages;
    for (size_t i = 0; i < 2; ++i)
        for (const HeapPage &page : read[i])
            strata[i].samples.push_back({page.block, value(page)});
    return strata;
}

// Reads until `wanted` pages of a stratum are there; all of them when that is what is wanted.
void read_more(pg::PageSampler &sampler, bool all_visible, uint64_t population, uint64_t wanted,
               std::vector<HeapPage> &read)
{
    if (wanted <= read.size())
        return;
    if (wanted >= population)
        read.clear();
    const std::vector<HeapPage> more =
        sampler.heap_pages(all_visible, spread_ranks(population, wanted - read.size(), seed()));
    read.insert(read.end(), more.begin(), more.end());
}

void measure_heap(pg::PageSampler &sampler, const SamplingLimits &limits, Bloat &bloat)
{
    const auto waste = [](const HeapPage &page) { return percent(page.free + page.dead); };
    const uint64_t population[2] = {sampler.pages - sampler.all_visible_pages, sampler.all_visible_pages};
    std::vector<HeapPage> read[2];
    const bool whole = sampler.pages <= limits.whole;
    for (size_t i = 0; i < 2; ++i) {
        const uint64_t in_proportion = limits.first_look * population[i] / sampler.pages;
        const uint64_t first =
            std::min(population[i], std::max<uint64_t>(in_proportion, limits.first_look / 8));
        read_more(sampler, i == 1, population[i], whole ? population[i] : first, read[i]);
    }
    if (!whole) {
        std::vector<Stratum> looked_at = strata_of(sampler, read, waste);
        const std::vector<uint64_t> counts = allocate(looked_at, limits.half_width, limits.most);
        for (size_t i = 0; i < 2; ++i)
            read_more(sampler, i == 1, population[i], counts[i], read[i]);
    }
    bloat.sampled = static_cast<int64_t>(read[0].size() + read[1].size());
    const auto mean = [&](double (*value)(const HeapPage &)) {
        std::vector<Stratum> strata = strata_of(sampler, read, value);
        return estimate_mean(strata);
    };
    const Estimate estimate = mean(waste);
    bloat.pct = clamped(estimate.mean);
    bloat.low_pct = clamped(estimate.mean - estimate.half_width);
    bloat.high_pct = clamped(estimate.mean + estimate.half_width);
    bloat.dead_pct = clamped(mean([](const HeapPage &page) { return percent(page.dead); }).mean);
    bloat.free_pct = clamped(mean([](const HeapPage &page) { return percent(page.free); }).mean);
    bloat.reserved_pct = clamped(mean([](const HeapPage &page) { return percent(kept_free(page)); }).mean);
}

// What the pages read so far would be after a rebuild: in percent of a page, each.
Stratum rebuilt(const pg::PageSampler &sampler, std::vector<BtreePage> &read)
{
    std::sort(read.begin(), read.end(),
              [](const BtreePage &a, const BtreePage &b) { return a.block < b.block; });
    const std::vector<double> leaves = rebuilt_leaf_pages({sampler.fillfactor, sampler.deduplicates}, read);
    Stratum stratum;
    stratum.pages = sampler.pages - 1; // without the metapage
    for (size_t i = 0; i < read.size(); ++i) {
        const double value = 100 * leaves[i], share = read[i].live_share;
        const double whole = share > 0 ? value / share : 0;
        stratum.samples.push_back({read[i].block, value, whole * whole * read[i].live_variance});
    }
    return stratum;
}

std::vector<uint32_t> blocks(uint64_t population, uint64_t count)
{
    std::vector<uint32_t> ranks = spread_ranks(population, count, seed());
    for (uint32_t &rank : ranks)
        ++rank;
    return ranks;
}

// Rows of each leaf page to look up: fewer when many pages are read, for the sum decides.
int looks(const SamplingLimits &limits, uint64_t pages)
{
    return static_cast<int>(std::clamp<uint64_t>(limits.looked_up / std::max<uint64_t>(pages, 1), 2, 8));
}

void measure_btree(pg::PageSampler &sampler, const SamplingLimits &limits, Bloat &bloat)
{
    const uint64_t population = sampler.pages - 1;
    const bool whole = population <= limits.whole;
    const uint64_t first = whole ? population : std::min(population, limits.first_look);
    std::vector<BtreePage> read =
        sampler.btree_pages(blocks(population, first), looks(limits, first), seed());
    std::vector<Stratum> strata = {rebuilt(sampler, read)};
    if (!whole) {
        const uint64_t wanted = allocate(strata, limits.half_width, limits.most).front();
        if (wanted > read.size()) {
            const std::vector<BtreePage> more =
                sampler.btree_pages(blocks(population, wanted - read.size()), looks(limits, wanted), seed());
            read.insert(read.end(), more.begin(), more.end());
            strata = {rebuilt(sampler, read)};
        }
    }
    bloat.sampled = static_cast<int64_t>(read.size()) + 1;
    const Estimate estimate = estimate_mean(strata);
    const double pivot = mean_pivot_bytes(read);
    const double all = static_cast<double>(sampler.pages);
    const auto pct = [&](double page_mean) {
        const double leaves = std::max(0.0, page_mean) / 100 * static_cast<double>(population);
        return clamped(100 * (1 - rebuilt_pages(std::ceil(leaves), pivot) / all));
    };
    bloat.pct = pct(estimate.mean);
    // Which page a rebuild would end where is not known, and groups are cut at the ends of the sampled pages.
    const double packing = 100 / all + (sampler.deduplicates ? 0.4 : 0.2);
    bloat.low_pct = clamped(pct(estimate.mean + estimate.half_width) - packing);
    bloat.high_pct = clamped(pct(estimate.mean - estimate.half_width) + packing);
    const auto gone = std::count_if(read.begin(), read.end(), [](const BtreePage &page) {
        return page.kind != observed::BtreePageKind::leaf && page.kind != observed::BtreePageKind::internal;
    });
    bloat.deleted_pct =
        read.empty() ? 0 : 100.0 * static_cast<double>(gone) / static_cast<double>(read.size());
}

std::string confidence_of(const Bloat &bloat)
{
    const double half_width = (bloat.high_pct - bloat.low_pct) / 2;
    return half_width <= 1 ? "high" : half_width <= 3 ? "medium" : "low";
}

} // namespace

SamplingLimits SamplingLimits::within(uint64_t pages) const
{
    SamplingLimits limits = *this;
    limits.whole = std::min(whole, pages);
    limits.most = std::min(most, pages);
    limits.first_look = std::min(first_look, pages);
    return limits;
}

Bloat measure_bloat(uint32_t relation, const SamplingLimits &limits)
{
    Bloat bloat;
    bloat.relation = relation;
    const std::string failure = pg::sampling_failure([&] {
        pg::PageSampler sampler(relation);
        bloat.index = sampler.kind == pg::PageSampler::Kind::btree;
        bloat.unmeasured = sampler.reason;
        if (sampler.refused())
            return;
        bloat.pages = static_cast<int64_t>(sampler.pages);
        bloat.bytes = bloat.pages * page_bytes;
        if (sampler.pages > 1 && bloat.index)
            measure_btree(sampler, limits, bloat);
        else if (sampler.pages > 0 && !bloat.index)
            measure_heap(sampler, limits, bloat);
        sampler.close();
    });
    if (!failure.empty())
        bloat.unmeasured = "it could not be read: " + failure;
    if (!bloat.measured()) {
        bloat.confidence = "withheld";
        return bloat;
    }
    const std::string source = bloat.index ? "leaf rows packed again" : "dead and free bytes";
    bloat.method = bloat.sampled >= bloat.pages
                       ? base::format("all %s, %s", base::plural(bloat.pages, "page").c_str(), source.c_str())
                       : base::format("%s of %s sampled, %s", base::count_text(bloat.sampled).c_str(),
                                      base::plural(bloat.pages, "page").c_str(), source.c_str());
    bloat.confidence = confidence_of(bloat);
    return bloat;
}

} // namespace opsrunbook::advice
