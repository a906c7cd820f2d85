// A heap page as contrib/pgstattuple reads it: free space as offered to new rows, and the rows that are not
// visible to a dirty snapshot as dead.
#include "pg/storage/pages.hpp"

#include <algorithm>
#include <span>

extern "C" {
#include "access/heapam.h"
#include "storage/bufpage.h"
#include "utils/snapmgr.h"
}

namespace opsrunbook::pg {

namespace {

// pgstattuple of 18 stopped to subtract a line pointer and to call a page full that has no line pointer left.
uint16_t free_bytes(Page page)
{
#if PG_VERSION_NUM >= 180000
    return static_cast<uint16_t>(PageGetExactFreeSpace(page));
#else
    return static_cast<uint16_t>(PageGetHeapFreeSpace(page));
#endif
}

bool surely_alive(const HeapTupleHeaderData *row)
{
    constexpr uint16 settled = HEAP_XMIN_COMMITTED | HEAP_XMAX_INVALID;
    return (row->t_infomask & settled) == settled && (row->t_infomask & HEAP_XMIN_INVALID) == 0;
}

// Server regime; the page is share-locked.
uint16_t dead_bytes(::Relation heap, Buffer buffer, Page page, uint32_t block, Snapshot dirty)
{
    uint32_t dead = 0;
    const OffsetNumber last = PageGetMaxOffsetNumber(page);
    HeapTupleData row;
    row.t_tableOid = RelationGetRelid(heap);
    for (OffsetNumber offset = FirstOffsetNumber; offset <= last; ++offset) {
        const ItemId item = PageGetItemId(page, offset);
        if (!ItemIdIsNormal(item))
            continue;
        row.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
        if (surely_alive(row.t_data))
            continue;
        row.t_len = ItemIdGetLength(item);
        ItemPointerSet(&row.t_self, block, offset);
        if (!HeapTupleSatisfiesVisibility(&row, dirty, buffer))
            dead += row.t_len;
    }
    return static_cast<uint16_t>(dead);
}

void count_rows(Page page, observed::HeapPage &out)
{
    const OffsetNumber last = PageGetMaxOffsetNumber(page);
    for (OffsetNumber offset = FirstOffsetNumber; offset <= last; ++offset)
        if (const ItemId item = PageGetItemId(page, offset); ItemIdIsNormal(item)) {
            ++out.rows;
            out.row_bytes =
                static_cast<uint16_t>(out.row_bytes + MAXALIGN(ItemIdGetLength(item)) + sizeof(ItemIdData));
        }
}

} // namespace

std::vector<observed::HeapPage> read_heap_pages(::Relation heap, BufferAccessStrategy ring,
                                                const std::vector<uint32_t> &blocks, int fillfactor,
                                                bool all_visible)
{
    std::vector<observed::HeapPage> pages(blocks.size());
    size_t filled = 0;
    const auto reserve = static_cast<uint16_t>(BLCKSZ * (100 - fillfactor) / 100);
    for (size_t from = 0; from < blocks.size(); from += pages_a_batch) {
        const std::span<const uint32_t> chunk(blocks.data() + from,
                                              std::min(pages_a_batch, blocks.size() - from));
        observed::HeapPage *const out = pages.data() + filled;
        filled += call([&] {
            SnapshotData dirty;
            InitDirtySnapshot(dirty);
            const BlockNumber end = RelationGetNumberOfBlocks(heap);
            size_t read = 0, present = chunk.size();
            while (present > 0 && chunk[present - 1] >= end)
                --present;
            ask_ahead(heap, chunk.data(), present);
            for (const uint32_t block : chunk.first(present)) {
                const Buffer buffer = ReadBufferExtended(heap, MAIN_FORKNUM, block, RBM_NORMAL, ring);
                LockBuffer(buffer, BUFFER_LOCK_SHARE);
                const Page page = BufferGetPage(buffer);
                const uint16_t free = free_bytes(page);
                const uint16_t dead =
                    all_visible ? uint16_t{0} : dead_bytes(heap, buffer, page, block, &dirty);
                out[read] = {block, free, dead, reserve, 0, 0};
                count_rows(page, out[read++]);
                UnlockReleaseBuffer(buffer);
            }
            CHECK_FOR_INTERRUPTS();
            return read;
        });
    }
    pages.resize(filled);
    return pages;
}

} // namespace opsrunbook::pg
