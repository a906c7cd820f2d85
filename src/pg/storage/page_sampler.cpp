#include "pg/storage/page_sampler.hpp"
#include "pg/storage/pages.hpp"

#include <algorithm>
#include <bit>
#include <memory>

extern "C" {
#include "access/nbtree.h"
#include "access/relation.h"
#include "access/visibilitymapdefs.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"
}

namespace opsrunbook::pg {

static_assert(BLCKSZ == observed::page_bytes);

namespace {

// visibilitymap.c: two bits a heap page, after the page header.
constexpr uint32_t map_bytes = BLCKSZ - MAXALIGN(SizeOfPageHeaderData);
constexpr uint32_t heap_pages_per_map_page = map_bytes * 4;
constexpr uint64_t visible_bits = 0x5555555555555555ull;

struct MapPage {
    uint64_t words[map_bytes / 8];
};

// Server regime.  Copied without a lock, as the server itself reads it: a bit may be old the next moment
// anyway.
void copy_map_page(RelationData *heap, uint32_t number, MapPage &out)
{
    const Buffer buffer = ReadBufferExtended(heap, VISIBILITYMAP_FORKNUM, number, RBM_ZERO_ON_ERROR, nullptr);
    memcpy(out.words, static_cast<char *>(BufferGetPage(buffer)) + MAXALIGN(SizeOfPageHeaderData), map_bytes);
    ReleaseBuffer(buffer);
}

uint32_t map_pages(RelationData *heap)
{
    if (!smgrexists(RelationGetSmgr(heap), VISIBILITYMAP_FORKNUM))
        return 0;
    return RelationGetNumberOfBlocksInFork(heap, VISIBILITYMAP_FORKNUM);
}

// Server regime.  What makes a relation unreadable here; nullptr: nothing.
const char *unreadable(RelationData *relation)
{
    const Form_pg_class form = relation->rd_rel;
    if (RELATION_IS_OTHER_TEMP(relation))
        return "a temporary table of another session: its pages are in that session's memory";
    if (form->relpersistence == RELPERSISTENCE_UNLOGGED && RecoveryInProgress())
        return "unlogged: it has no contents on a standby";
    if (!RELKIND_HAS_STORAGE(form->relkind))
        return "it has no storage of its own: measure its partitions";
    if (form->relkind == RELKIND_INDEX) {
        if (form->relam != BTREE_AM_OID)
            return "not a btree: only btrees can be measured";
        if (!relation->rd_index->indisvalid)
            return "the index is not valid";
        return nullptr;
    }
    if (form->relkind == RELKIND_SEQUENCE)
        return "a sequence";
    if (form->relam != HEAP_TABLE_AM_OID)
        return "not a heap: its access method is not known here";
    return nullptr;
}

} // namespace

PageSampler::PageSampler(uint32_t oid)
{
    open(oid);
    if (!refused())
        count_all_visible();
}

void PageSampler::open(uint32_t oid)
{
    const char *const refusal = call([this, oid]() -> const char * {
        const Oid owner = IndexGetRelation(oid, true); // invalid: not an index
        if (OidIsValid(owner)) {
            if (!ConditionalLockRelationOid(owner, AccessShareLock))
                return "its table is locked: another session holds or waits for an exclusive lock";
            locked_table = owner;
        }
        if (!ConditionalLockRelationOid(oid, AccessShareLock))
            return "locked: another session holds or waits for an exclusive lock";
        locked_relation = oid;
        if (OidIsValid(owner) && (table = try_relation_open(owner, NoLock)) == nullptr)
            return "dropped meanwhile";
        if ((relation = try_relation_open(oid, NoLock)) == nullptr)
            return "dropped meanwhile";
        if (const char *const why = unreadable(relation))
            return why;
        pages = RelationGetNumberOfBlocks(relation);
        ring = GetAccessStrategy(BAS_BULKREAD);
        if (table == nullptr) {
            kind = Kind::heap;
            fillfactor = RelationGetFillFactor(relation, HEAP_DEFAULT_FILLFACTOR);
            table_pages = pages;
            return nullptr;
        }
        if (table->rd_rel->relam != HEAP_TABLE_AM_OID)
            return "its table is not a heap";
        kind = Kind::btree;
        table_ring = GetAccessStrategy(BAS_BULKREAD);
        table_pages = RelationGetNumberOfBlocks(table);
        fillfactor = BTGetFillFactor(relation);
        deduplicates = !relation->rd_index->indisunique && BTGetDeduplicateItems(relation) &&
                       _bt_allequalimage(relation, false);
        return nullptr;
    });
    if (refusal != nullptr) {
        reason = refusal;
        close();
    }
}

void PageSampler::close()
{
    call([this] {
        if (ring != nullptr)
            FreeAccessStrategy(ring);
        if (table_ring != nullptr)
            FreeAccessStrategy(table_ring);
        if (relation != nullptr)
            relation_close(relation, NoLock);
        if (table != nullptr)
            relation_close(table, NoLock);
        if (OidIsValid(locked_relation))
            UnlockRelationOid(locked_relation, AccessShareLock);
        if (OidIsValid(locked_table))
            UnlockRelationOid(locked_table, AccessShareLock);
    });
    relation = table = nullptr;
    ring = table_ring = nullptr;
    locked_relation = locked_table = 0;
}

void PageSampler::count_all_visible()
{
    RelationData *const heap = table != nullptr ? table : relation;
    if (heap == nullptr) // closed
        return;
    const uint32_t maps = call([heap] { return map_pages(heap); });
    const auto map = std::make_unique<MapPage>();
    uint64_t all = 0;
    for (uint32_t number = 0; number < maps; ++number) {
        MapPage &page = *map;
        call([heap, number, &page] {
            CHECK_FOR_INTERRUPTS();
            copy_map_page(heap, number, page);
        });
        uint32_t visible = 0;
        for (const uint64_t word : page.words)
            visible += static_cast<uint32_t>(std::popcount(word & visible_bits));
        all_visible_by_map_page.push_back(visible);
        all += visible;
    }
    all_visible_pages = std::min(all, table_pages);
}

// Ranks within the stratum become blocks by walking the map once more.
std::vector<uint32_t> PageSampler::blocks_of(bool all_visible, const std::vector<uint32_t> &ranks) const
{
    std::vector<uint32_t> blocks;
    blocks.reserve(ranks.size());
    if (!all_visible && all_visible_pages == 0)
        return ranks;
    const auto map = std::make_unique<MapPage>();
    uint64_t before = 0; // members of the stratum on earlier map pages
    size_t next = 0;
    const auto last_map_page =
        static_cast<uint32_t>((pages + heap_pages_per_map_page - 1) / heap_pages_per_map_page);
    for (uint32_t number = 0; number < last_map_page && next < ranks.size(); ++number) {
        const uint64_t first = uint64_t{number} * heap_pages_per_map_page;
        const uint64_t here = std::min<uint64_t>(heap_pages_per_map_page, pages - first);
        const uint64_t visible =
            number < all_visible_by_map_page.size() ? all_visible_by_map_page[number] : 0;
        const uint64_t members = all_visible ? visible : here - std::min(visible, here);
        if (ranks[next] >= before + members) {
            before += members;
            continue;
        }
        MapPage &page = *map;
        if (number < all_visible_by_map_page.size())
            call([this, number, &page] { copy_map_page(relation, number, page); });
        else
            page = {};
        uint64_t rank = before;
        for (uint64_t word = 0; word * 32 < here && next < ranks.size(); ++word) {
            uint64_t bits = page.words[word] & visible_bits;
            if (!all_visible)
                bits = ~bits & visible_bits;
            const auto count = static_cast<uint64_t>(std::popcount(bits));
            for (; next < ranks.size() && ranks[next] < rank + count; ++next) {
                uint64_t left = bits;
                for (uint64_t skip = ranks[next] - rank; skip > 0; --skip)
                    left &= left - 1;
                const uint64_t block = first + word * 32 + static_cast<uint64_t>(std::countr_zero(left)) / 2;
                if (block < pages)
                    blocks.push_back(static_cast<uint32_t>(block));
            }
            rank += count;
        }
        before += members;
    }
    return blocks;
}

std::vector<observed::HeapPage> PageSampler::heap_pages(bool all_visible, const std::vector<uint32_t> &ranks)
{
    return read_heap_pages(relation, ring, blocks_of(all_visible, ranks), fillfactor, all_visible);
}

std::vector<observed::BtreePage> PageSampler::btree_pages(const std::vector<uint32_t> &blocks, int looked_up,
                                                          uint64_t seed)
{
    const bool all_alive = all_visible_pages >= table_pages;
    return read_btree_pages(
        {relation, ring, all_alive ? nullptr : table, table_ring, deduplicates, looked_up}, blocks, seed);
}

std::string sampling_failure(const std::function<void()> &body)
{
    const std::optional<ServerError> error = attempt([&body] { body(); });
    if (!error)
        return {};
    // XX: damaged data; 58: the system refused to read.
    if (error->sqlstate.starts_with("XX0") || error->sqlstate.starts_with("58"))
        return error->message;
    const char *const state = error->sqlstate.c_str();
    const char *const message = error->message.c_str();
    call([state, message] {
        ereport(ERROR, (errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])),
                        errmsg_internal("%s", message)));
    });
    return {};
}

} // namespace opsrunbook::pg
