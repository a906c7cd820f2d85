#include "advice/bloat/rebuilt_btree.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using observed::BtreePage;
using observed::KeyGroup;

constexpr int line_pointer = 4;
constexpr int row_pointer = 6;
constexpr int aligned_row_pointer = 8;
constexpr int page_room =
    observed::page_bytes - 24 - 16 - line_pointer; // header, btree's own, the high key's pointer
constexpr int largest_posting = observed::page_bytes / 10 / 8 * 8 - line_pointer; // nbtsort.c: maxpostingsize
constexpr int internal_fillfactor = 70;

int aligned(int bytes)
{
    return (bytes + 7) / 8 * 8;
}

int posting_bytes(int key_bytes, int rows)
{
    return rows == 1 ? key_bytes : aligned(key_bytes + rows * row_pointer);
}

int rows_in_posting(int key_bytes)
{
    const int room = largest_posting / 8 * 8 - key_bytes;
    return std::max(1, room / row_pointer);
}

int kept_free(int fillfactor)
{
    return observed::page_bytes * (100 - fillfactor) / 100;
}

// _bt_buildadd(): how the leaf level is filled, one tuple after the other.
class Packer {
public:
    explicit Packer(int fillfactor) : keep_free(kept_free(fillfactor)) {}

    void add(int bytes, int posting) // posting: the part of it that a high key would not have
    {
        const int room = free - line_pointer;
        if (room < bytes + aligned_row_pointer || (room + last_posting < keep_free && items > 1)) {
            ++finished;
            free = page_room - last_bytes - line_pointer;
            items = 1;
        }
        free -= bytes + line_pointer;
        ++items;
        last_bytes = bytes;
        last_posting = posting;
    }
    double position() const
    {
        return static_cast<double>(finished) +
               std::min(1.0, static_cast<double>(page_room - free) / (page_room - keep_free));
    }

private:
    const int keep_free;
    int64_t finished = 0;
    int free = page_room;
    int items = 0;
    int last_bytes = 0, last_posting = 0;
};

void add_group(Packer &packer, const BtreeShape &shape, const KeyGroup &group)
{
    if (!shape.deduplicates) {
        for (int row = 0; row < group.rows; ++row)
            packer.add(group.key_bytes, 0);
        return;
    }
    const int most = rows_in_posting(group.key_bytes);
    for (int left = group.rows; left > 0; left -= most) {
        const int bytes = posting_bytes(group.key_bytes, std::min(left, most));
        packer.add(bytes, bytes - group.key_bytes);
    }
}

// The live share of a page is told by few rows, so how its groups thin out is taken from it and its
// neighbours in the file.
std::vector<double> neighbourhood_shares(const std::vector<BtreePage> &pages)
{
    constexpr size_t reach = 10;
    std::vector<double> sums = {0}, counts = {0};
    for (const BtreePage &page : pages) {
        const bool leaf = page.kind == observed::BtreePageKind::leaf && !page.groups.empty();
        sums.push_back(sums.back() + (leaf ? page.live_share : 0));
        counts.push_back(counts.back() + leaf);
    }
    std::vector<double> shares;
    for (size_t i = 0; i < pages.size(); ++i) {
        const size_t from = i < reach ? 0 : i - reach, to = std::min(pages.size(), i + reach + 1);
        const double count = counts[to] - counts[from];
        shares.push_back(count > 0 ? (sums[to] - sums[from]) / count : 1);
    }
    return shares;
}

// How many rows of a group stay when each does with the given chance: drawn row by row for small groups, by
// the normal approximation for large ones.
class Thinning {
public:
    int rows_of(int rows, double stays)
    {
        constexpr int few = 16;
        if (stays >= 1)
            return rows;
        if (rows > few)
            return std::clamp(static_cast<int>(std::lround(
                                  rows * stays + std::sqrt(rows * stays * (1 - stays)) * normal(random))),
                              0, rows);
        int kept = 0;
        for (int row = 0; row < rows; ++row)
            kept += static_cast<double>(random()) < stays * static_cast<double>(std::minstd_rand::max());
        return kept;
    }

private:
    std::minstd_rand random{1}; // the same pages give the same answer
    std::normal_distribution<> normal;
};

} // namespace

std::vector<double> rebuilt_leaf_pages(const BtreeShape &shape, const std::vector<BtreePage> &pages)
{
    Packer packer(shape.fillfactor);
    Thinning thinning;
    const std::vector<double> shares =
        shape.deduplicates ? neighbourhood_shares(pages) : std::vector<double>(pages.size(), 1);
    std::vector<double> taken;
    taken.reserve(pages.size());
    int carried = 0; // rows of the group that began on a page before
    for (size_t p = 0; p < pages.size(); ++p) {
        const BtreePage &page = pages[p];
        if (page.kind != observed::BtreePageKind::leaf || shares[p] <= 0) {
            taken.push_back(0);
            continue;
        }
        const double before = packer.position();
        for (size_t i = 0; i < page.groups.size(); ++i) {
            const KeyGroup &group = page.groups[i];
            for (int times = 0; times < group.repeat; ++times) {
                int rows = thinning.rows_of(group.rows, shares[p]);
                // A group that goes on elsewhere ends in full posting lists here; what is left over fills up
                // with a like left-over of the next page met.
                const bool last = i + 1 == page.groups.size() && times + 1 == group.repeat;
                if (shape.deduplicates && page.continues_right && last) {
                    rows += carried;
                    carried = rows % rows_in_posting(group.key_bytes);
                    rows -= carried;
                }
                add_group(packer, shape, {group.key_bytes, static_cast<uint16_t>(rows), 1});
            }
        }
        taken.push_back((packer.position() - before) * page.live_share / shares[p]);
    }
    return taken;
}

double rebuilt_pages(double leaf_pages, double pivot_bytes)
{
    double pages = 1 + leaf_pages, level = leaf_pages;
    const double used = page_room + line_pointer - kept_free(internal_fillfactor);
    const double children = std::max(2.0, std::floor(used / (std::max(pivot_bytes, 16.0) + line_pointer)));
    while (level > 1) {
        level = std::ceil(level / children);
        pages += level;
    }
    return pages;
}

double mean_pivot_bytes(const std::vector<BtreePage> &pages)
{
    double sum = 0, count = 0;
    for (const BtreePage &page : pages)
        if (page.pivot_bytes > 0) {
            sum += page.pivot_bytes;
            ++count;
        }
    return count > 0 ? sum / count : 0;
}

} // namespace opsrunbook::advice
