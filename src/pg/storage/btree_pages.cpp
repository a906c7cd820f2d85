// A btree page: what kind it is, and of a leaf page its rows as groups of equal keys.  A page is copied under
// its share lock and read from the copy.
#include "pg/storage/pages.hpp"

#include <algorithm>
#include <memory>
#include <random>

extern "C" {
#include "access/heapam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/visibilitymap.h"
#include "storage/bufpage.h"
#include "utils/snapmgr.h"
}

namespace opsrunbook::pg {

namespace {

using observed::BtreePageKind;

constexpr int most_looks = 8; // of one leaf page

struct Copy {
    alignas(MAXIMUM_ALIGNOF) char bytes[BLCKSZ];
};

// What one leaf page gives, without allocation.
struct Leaf {
    observed::KeyGroup groups[MaxIndexTuplesPerPage];
    IndexTuple last_of_group[MaxIndexTuplesPerPage]; // without `repeat`: one entry a group met
    int group_count = 0;
    int met = 0;
    ItemPointerData rows[MaxTIDsPerBTreePage];
    int row_count = 0;
    int killed = 0;
};

Size key_bytes(IndexTuple item)
{
    return BTreeTupleIsPosting(item) ? BTreeTupleGetPostingOffset(item) : IndexTupleSize(item);
}

const ItemPointerData *first_row(IndexTuple item)
{
    return BTreeTupleIsPosting(item) ? BTreeTupleGetPosting(item) : &item->t_tid;
}

int rows_of(IndexTuple item)
{
    return BTreeTupleIsPosting(item) ? BTreeTupleGetNPosting(item) : 1;
}

// Images decide, as they do for deduplication; padding is zero in both.
bool same_key(IndexTuple a, Size a_bytes, IndexTuple b, Size b_bytes)
{
    constexpr int flags = INDEX_NULL_MASK | INDEX_VAR_MASK;
    return a_bytes == b_bytes && (a->t_info & flags) == (b->t_info & flags) &&
           memcmp(reinterpret_cast<const char *>(a) + sizeof(IndexTupleData),
                  reinterpret_cast<const char *>(b) + sizeof(IndexTupleData),
                  a_bytes - sizeof(IndexTupleData)) == 0;
}

void add_group(Leaf &leaf, Size bytes, int rows)
{
    if (leaf.group_count > 0) {
        observed::KeyGroup &last = leaf.groups[leaf.group_count - 1];
        if (last.key_bytes == bytes && last.rows == rows) {
            ++last.repeat;
            return;
        }
    }
    leaf.groups[leaf.group_count++] = {static_cast<uint16_t>(bytes), static_cast<uint16_t>(rows), 1};
}

void read_leaf(Page page, bool grouped, Leaf &leaf)
{
    const BTPageOpaque opaque = BTPageGetOpaque(page);
    const OffsetNumber last = PageGetMaxOffsetNumber(page);
    IndexTuple previous = nullptr;
    Size previous_bytes = 0;
    int rows = 0;
    for (OffsetNumber offset = P_FIRSTDATAKEY(opaque); offset <= last; ++offset) {
        const ItemId line = PageGetItemId(page, offset);
        if (ItemIdIsDead(line)) {
            ++leaf.killed;
            continue;
        }
        const IndexTuple item = reinterpret_cast<IndexTuple>(PageGetItem(page, line));
        const Size bytes = key_bytes(item);
        const int here = rows_of(item);
        if (leaf.row_count + here > static_cast<int>(MaxTIDsPerBTreePage))
            break;
        memcpy(leaf.rows + leaf.row_count, first_row(item),
               static_cast<size_t>(here) * sizeof(ItemPointerData));
        leaf.row_count += here;
        if (grouped && previous != nullptr && same_key(previous, previous_bytes, item, bytes)) {
            rows += here;
            leaf.last_of_group[leaf.met - 1] = item;
            continue;
        }
        if (previous != nullptr)
            add_group(leaf, previous_bytes, rows);
        previous = item;
        previous_bytes = bytes;
        rows = here;
        leaf.last_of_group[leaf.met++] = item;
    }
    if (previous != nullptr)
        add_group(leaf, previous_bytes, rows);
}

// Does the last group go on on the right?  The high key tells: it holds the first key there, cut after the
// attribute that differs, with a row pointer behind it where none does.
bool continues_right(Page page, const Leaf &leaf)
{
    if (P_RIGHTMOST(BTPageGetOpaque(page)) || leaf.met == 0)
        return false;
    const IndexTuple high = reinterpret_cast<IndexTuple>(PageGetItem(page, PageGetItemId(page, P_HIKEY)));
    return BTreeTupleIsPivot(high) && BTreeTupleGetHeapTID(high) != nullptr;
}

// Server regime.  Bytes of the downlink that _bt_truncate() would make between two neighbours.
uint16_t pivot_bytes(::Relation index, IndexTuple left, IndexTuple right)
{
    const int keys = IndexRelationGetNumberOfKeyAttributes(index);
    const int columns = IndexRelationGetNumberOfAttributes(index);
    const int kept = _bt_keep_natts_fast(index, left, right);
    const Size row_pointer = kept > keys ? MAXALIGN(sizeof(ItemPointerData)) : 0;
    if (kept >= columns)
        return static_cast<uint16_t>(key_bytes(right) + row_pointer);
    const IndexTuple cut = index_truncate_tuple(RelationGetDescr(index), right, kept > keys ? keys : kept);
    const Size bytes = IndexTupleSize(cut) + row_pointer;
    pfree(cut);
    return static_cast<uint16_t>(bytes);
}

// The rows of a leaf page that a rebuild would keep: those whose chain in the table has a version not dead to
// all.  Each look draws a row, and with it all rows of the leaf page that stand in the same table page: that
// is a draw of table pages in proportion to their rows here, so the mean over the looks is unbiased.
struct Live {
    double share = 1;
    double variance = 0; // of the share
};

// Server regime.  Leaves the buffer share-locked and unlocked again; returns the live share of the block's
// rows.
double live_in_block(const BtreeSource &source, const Leaf &leaf, BlockNumber block, Snapshot kept)
{
    const Buffer buffer =
        ReadBufferExtended(source.table, MAIN_FORKNUM, block, RBM_NORMAL, source.table_ring);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    int rows = 0, live = 0;
    for (int i = 0; i < leaf.row_count; ++i) {
        if (ItemPointerGetBlockNumberNoCheck(&leaf.rows[i]) != block)
            continue;
        ItemPointerData row = leaf.rows[i];
        HeapTupleData found;
        ++rows;
        live += heap_hot_search_buffer(&row, source.table, buffer, kept, &found, nullptr, true);
    }
    UnlockReleaseBuffer(buffer);
    return static_cast<double>(live) / rows;
}

// How many looks tell enough of a page: fewer where neighbours on the page are neighbours in the table, so
// that each look tells of many rows.  Fixed before the draws, for stopping at what was drawn would bias them.
int looks_at(const Leaf &leaf, int most)
{
    constexpr int enough = 48; // rows
    int runs = 1;
    for (int i = 1; i < leaf.row_count; ++i)
        runs += ItemPointerGetBlockNumberNoCheck(&leaf.rows[i]) !=
                ItemPointerGetBlockNumberNoCheck(&leaf.rows[i - 1]);
    const int wanted = std::max(2, enough * runs / std::max(leaf.row_count, 1));
    return std::min({wanted, most, leaf.row_count, most_looks});
}

// Server regime.
Live live_share(const BtreeSource &source, const Leaf &leaf, uint32_t random, Buffer &map)
{
    SnapshotData not_vacuumable;
    InitNonVacuumableSnapshot(not_vacuumable, GlobalVisTestFor(source.table));
    const BlockNumber end = RelationGetNumberOfBlocks(source.table);
    const int looks = looks_at(leaf, source.looked_up);
    double sum = 0, squares = 0;
    BlockNumber drawn[most_looks];
    bool visible[most_looks];
    for (int i = 0; i < looks; ++i) {
        random = random * 1664525u + 1013904223u;
        drawn[i] = ItemPointerGetBlockNumberNoCheck(
            &leaf.rows[(random >> 8) % static_cast<uint32_t>(leaf.row_count)]);
        visible[i] = drawn[i] < end && (visibilitymap_get_status(source.table, drawn[i], &map) &
                                        VISIBILITYMAP_ALL_VISIBLE) != 0;
        if (drawn[i] < end && !visible[i])
            ask_ahead(source.table, &drawn[i], 1);
    }
    for (int look = 0; look < looks; ++look) {
        double live = visible[look] ? 1 : 0;
        if (drawn[look] < end && !visible[look])
            live = live_in_block(source, leaf, drawn[look], &not_vacuumable);
        sum += live;
        squares += live * live;
    }
    if (looks == 0)
        return {};
    const double mean = sum / looks;
    return {mean, looks < 2 ? 0.25 : std::max(0.0, squares - looks * mean * mean) / (looks - 1) / looks};
}

struct PageFacts {
    BtreePageKind kind;
    uint16_t free, pivot;
    bool continues;
    Live live;
};

BtreePageKind kind_of(Page page)
{
    if (PageIsNew(page))
        return BtreePageKind::unused;
    const BTPageOpaque opaque = BTPageGetOpaque(page);
    return P_ISDELETED(opaque) ? BtreePageKind::deleted
           : P_IGNORE(opaque)  ? BtreePageKind::half_dead
           : !P_ISLEAF(opaque) ? BtreePageKind::internal
                               : BtreePageKind::leaf;
}

// Server regime.
PageFacts read_page(const BtreeSource &source, uint32_t block, uint32_t random, Copy &copy, Leaf &leaf,
                    Buffer &map)
{
    const Buffer buffer = ReadBufferExtended(source.index, MAIN_FORKNUM, block, RBM_NORMAL, source.ring);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    memcpy(copy.bytes, BufferGetPage(buffer), BLCKSZ);
    UnlockReleaseBuffer(buffer);
    const Page page = copy.bytes;
    PageFacts facts = {kind_of(page), 0, 0, false, {}};
    if (facts.kind == BtreePageKind::unused)
        return facts;
    facts.free = static_cast<uint16_t>(PageGetExactFreeSpace(page));
    if (facts.kind != BtreePageKind::leaf)
        return facts;
    read_leaf(page, source.grouped, leaf);
    facts.continues = source.grouped && continues_right(page, leaf);
    if (leaf.met > 1) {
        const int at = static_cast<int>((random >> 4) % static_cast<uint32_t>(leaf.met - 1));
        facts.pivot = pivot_bytes(source.index, leaf.last_of_group[at], leaf.last_of_group[at + 1]);
    }
    if (source.table != nullptr && source.looked_up > 0)
        facts.live = live_share(source, leaf, random, map);
    return facts;
}

} // namespace

std::vector<observed::BtreePage> read_btree_pages(const BtreeSource &source,
                                                  const std::vector<uint32_t> &blocks, uint64_t seed)
{
    std::vector<observed::BtreePage> pages;
    pages.reserve(blocks.size());
    const auto copy = std::make_unique<Copy>();
    const auto leaf = std::make_unique<Leaf>();
    std::minstd_rand random(static_cast<uint32_t>(seed));
    Buffer map = InvalidBuffer;
    for (size_t i = 0; i < blocks.size(); ++i) {
        const uint32_t block = blocks[i];
        if (i % pages_a_batch == 0)
            call([&source, &blocks, i] {
                ask_ahead(source.index, blocks.data() + i, std::min(pages_a_batch, blocks.size() - i));
            });
        leaf->group_count = leaf->met = leaf->row_count = leaf->killed = 0;
        const auto drawn = static_cast<uint32_t>(random());
        Copy &page = *copy;
        Leaf &out = *leaf;
        const PageFacts facts = call([&] {
            CHECK_FOR_INTERRUPTS();
            return read_page(source, block, drawn, page, out, map);
        });
        observed::BtreePage &read = pages.emplace_back();
        read.block = block;
        read.kind = facts.kind;
        read.free = facts.free;
        read.killed_items = static_cast<uint16_t>(out.killed);
        read.pivot_bytes = facts.pivot;
        read.continues_right = facts.continues;
        read.live_share = facts.live.share;
        read.live_variance = facts.live.variance;
        read.groups.assign(out.groups, out.groups + out.group_count);
    }
    call([map] {
        if (BufferIsValid(map))
            ReleaseBuffer(map);
    });
    return pages;
}

} // namespace opsrunbook::pg
