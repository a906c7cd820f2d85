#pragma once
// Reads chosen pages of one heap or btree relation of the current database through the buffer manager, with a
// ring of 256 kB so that nothing useful is evicted.
//
// Locks: AccessShareLock on the relation (of an index, on its table first), taken conditionally: where
// anybody holds or waits for a conflicting lock the relation is refused with the reason, and nothing waits.
// close() gives the locks back; after an error the transaction's end does.  One page is share-locked at a
// time.
//
// No SELECT privilege is asked for: what leaves this file are counts of bytes, never data.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "observed/pages.hpp"

struct RelationData;
struct BufferAccessStrategyData;

namespace opsrunbook::pg {

class PageSampler {
public:
    enum class Kind { none, heap, btree };

    explicit PageSampler(uint32_t relation);
    void close();

    bool refused() const { return !reason.empty(); }

    std::string reason; // why nothing can be read; empty: it can
    Kind kind = Kind::none;
    uint64_t pages = 0;             // of the main fork
    uint64_t all_visible_pages = 0; // heap: by the visibility map; these hold no dead rows
    int fillfactor = 100;
    bool deduplicates = false; // btree: as CREATE INDEX would build it

    // Heap: the pages of these ranks (ascending) among the all-visible pages, or among the others.
    std::vector<observed::HeapPage> heap_pages(bool all_visible, const std::vector<uint32_t> &ranks);
    // Btree: the pages of these blocks; block 0 is the metapage.  `looked_up`: how many rows of each leaf
    // page are looked up in the table, to tell those that are dead there, unless the table is all-visible.
    std::vector<observed::BtreePage> btree_pages(const std::vector<uint32_t> &blocks, int looked_up,
                                                 uint64_t seed);

private:
    void open(uint32_t relation);
    void count_all_visible();
    std::vector<uint32_t> blocks_of(bool all_visible, const std::vector<uint32_t> &ranks) const;

    RelationData *relation = nullptr, *table = nullptr; // table: of an index
    uint32_t locked_relation = 0, locked_table = 0;
    BufferAccessStrategyData *ring = nullptr, *table_ring = nullptr;
    uint64_t table_pages = 0;
    std::vector<uint32_t> all_visible_by_map_page; // of `relation`, or of the index's table
};

// Runs a body that samples; a damaged or unreadable file ends it and gives the server's message, which is
// otherwise empty.  Other errors, cancellation among them, pass.
std::string sampling_failure(const std::function<void()> &body);

} // namespace opsrunbook::pg
