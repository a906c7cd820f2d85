#pragma once
// The arithmetic of sampling: which pages to read, and what they say about the whole file.
//
// The file is cut into as many equal runs of pages as pages shall be read, and one page is drawn at random
// from each run: every page has the same chance, periodic patterns cannot fool it, and waste that clusters in
// the file is met in proportion.  The variance comes from the differences between neighbours in the sample
// (Wolter, Introduction to Variance Estimation, 2007, ch. 8), which is at most slightly too large.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace opsrunbook::advice {

constexpr double confident = 1.959964; // standard deviations on each side of a 95 % interval

// One page's value, in percent of a page.
struct Sample {
    uint32_t position; // where in the file: order matters, distance does not
    double value;
    double own_variance = 0; // of the value itself, where the page was not read to the end
};

struct Stratum {
    uint64_t pages = 0;
    std::vector<Sample> samples;
};

struct Estimate {
    double mean = 0;
    double half_width = 0; // of the 95 % interval
};

// `count` ranks out of 0 … pages - 1, ascending, one from each of `count` equal runs; all ranks when count >=
// pages.  The seed alone decides.
std::vector<uint32_t> spread_ranks(uint64_t pages, uint64_t count, uint64_t seed);

// The mean over all pages of all strata.  Sorts the samples; a page that is there twice counts once.
Estimate estimate_mean(std::vector<Stratum> &strata);

// How many pages to read of each stratum, all in all at most `budget`, so that the half width of the interval
// comes down to `half_width` points (Neyman's allocation), judged by a first look at a few pages of each.
// Never below what was read already.
std::vector<uint64_t> allocate(std::vector<Stratum> &looked_at, double half_width, uint64_t budget);

} // namespace opsrunbook::advice
