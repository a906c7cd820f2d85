#pragma once
// How pages of each kind are read; behind PageSampler, which opens and locks.

#include "pg/boundary.hpp"

extern "C" {
#include "storage/bufmgr.h"
#include "utils/rel.h"
}

#include "observed/pages.hpp"

namespace opsrunbook::pg {

// Blocks beyond the file's end (a VACUUM truncated it) are left out.  all_visible: rows need no look.
std::vector<observed::HeapPage> read_heap_pages(::Relation heap, BufferAccessStrategy ring,
                                                const std::vector<uint32_t> &blocks, int fillfactor,
                                                bool all_visible);

struct BtreeSource {
    ::Relation index;
    BufferAccessStrategy ring;
    ::Relation table; // nullptr: all its rows are alive
    BufferAccessStrategy table_ring;
    bool grouped; // rows of one key make one group
    int looked_up;
};

std::vector<observed::BtreePage> read_btree_pages(const BtreeSource &source,
                                                  const std::vector<uint32_t> &blocks, uint64_t seed);

} // namespace opsrunbook::pg
