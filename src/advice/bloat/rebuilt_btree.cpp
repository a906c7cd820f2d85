#include "advice/bloat/rebuilt_btree.hpp"

#include <algorithm>
#include <cmath>

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

double group_bytes(const KeyGroup &group, int rows)
{
    const int most = rows_in_posting(group.key_bytes);
    const int full = rows / most, rest = rows % most;
    return full * (posting_bytes(group.key_bytes, most) + line_pointer) +
           (rest ? posting_bytes(group.key_bytes, rest) + line_pointer : 0);
}

// Expected bytes of a deduplicated group when each of its rows stays with the given chance.
double thinned_bytes(const KeyGroup &group, double stays)
{
    constexpr int few = 16;
    if (group.rows > few)
        return group_bytes(group, std::max(1, static_cast<int>(std::lround(group.rows * stays))));
    double chance = std::pow(1 - stays, group.rows), expected = 0; // of exactly `rows` rows
    for (int rows = 1; rows <= group.rows; ++rows) {
        chance *= (group.rows - rows + 1) / static_cast<double>(rows) * stays / (1 - stays);
        expected += chance * group_bytes(group, rows);
    }
    return expected;
}

double kept_share(const BtreeShape &shape, const BtreePage &page)
{
    if (!shape.deduplicates || page.live_share >= 1 || page.live_share <= 0)
        return page.live_share;
    double before = 0, after = 0;
    for (const KeyGroup &group : page.groups) {
        before += group.repeat * group_bytes(group, group.rows);
        after += group.repeat * thinned_bytes(group, page.live_share);
    }
    return before > 0 ? after / before : 1;
}

} // namespace

std::vector<double> rebuilt_leaf_pages(const BtreeShape &shape, const std::vector<BtreePage> &pages)
{
    Packer packer(shape.fillfactor);
    std::vector<double> taken;
    taken.reserve(pages.size());
    int carried = 0; // rows of the group that began on a page before
    for (const BtreePage &page : pages) {
        if (page.kind != observed::BtreePageKind::leaf) {
            taken.push_back(0);
            continue;
        }
        const double before = packer.position();
        for (size_t i = 0; i < page.groups.size(); ++i) {
            KeyGroup group = page.groups[i];
            const int repeat = group.repeat;
            // A group that goes on elsewhere ends in full posting lists here; what is left over fills up with
            // a like left-over of the next page met.
            if (shape.deduplicates && page.continues_right && i + 1 == page.groups.size() && repeat == 1) {
                const int most = rows_in_posting(group.key_bytes);
                const int rows = group.rows + carried;
                carried = rows % most;
                group.rows = static_cast<uint16_t>(rows - carried);
            }
            for (int times = 0; times < repeat; ++times)
                add_group(packer, shape, group);
        }
        taken.push_back((packer.position() - before) * kept_share(shape, page));
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
