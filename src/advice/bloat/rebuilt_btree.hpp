#pragma once
// How large a btree would be after REINDEX, from some of its leaf pages: the rows found there are packed
// again as CREATE INDEX packs them (nbtsort.c: leaf fill factor, deduplication, the last row of a full page
// moved on to make room for the high key; internal pages filled to 70 %).

#include <cstdint>
#include <vector>

#include "observed/pages.hpp"

namespace opsrunbook::advice {

struct BtreeShape {
    int fillfactor = 90;
    bool deduplicates =
        false; // as CREATE INDEX would: not unique, equality is equality of images, not turned off
};

// For each page, how many leaf pages of the rebuilt index its rows take; the pages in the file's order.
std::vector<double> rebuilt_leaf_pages(const BtreeShape &shape,
                                       const std::vector<observed::BtreePage> &pages);

// All pages of an index of so many leaf pages: internal levels and the metapage with them.
double rebuilt_pages(double leaf_pages, double pivot_bytes);

// Of the downlinks that the pages would get; 0 when none could be told.
double mean_pivot_bytes(const std::vector<observed::BtreePage> &pages);

} // namespace opsrunbook::advice
