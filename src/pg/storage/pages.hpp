#pragma once
// How pages of each kind are read; behind PageSampler, which opens and locks.

#include "pg/boundary.hpp"

extern "C" {
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/spccache.h"
}

#include "observed/pages.hpp"

namespace opsrunbook::pg {

// Blocks beyond the file's end (a VACUUM truncated it) are left out.  all_visible: rows need no look.
std::vector<observed::HeapPage> read_heap_pages(::Relation heap, BufferAccessStrategy ring,
                                                const std::vector<uint32_t> &blocks, int fillfactor,
                                                bool all_visible);

constexpr size_t pages_a_batch = 64; // asked for ahead, so that a cold disk reads them side by side

// Server regime.  effective_io_concurrency 0 of the tablespace: nothing is asked for ahead.
inline void ask_ahead(::Relation relation, const uint32_t *blocks, size_t count)
{
    if (get_tablespace_io_concurrency(relation->rd_rel->reltablespace) > 0)
        for (size_t i = 0; i < count; ++i)
            PrefetchBuffer(relation, MAIN_FORKNUM, blocks[i]);
}

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
