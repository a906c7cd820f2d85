#pragma once
// Sampled pages of one relation, as pg/storage/page_sampler.cpp read them.  Bytes are bytes of the page.

#include <cstdint>
#include <vector>

namespace opsrunbook::observed {

constexpr int page_bytes = 8192; // BLCKSZ; page_sampler.cpp asserts that the server was built so

struct HeapPage {
    uint32_t block;
    uint16_t free;      // what the server offers to new rows, as pgstattuple counts it
    uint16_t dead;      // rows that nobody will see any more, not yet vacuumed
    uint16_t reserve;   // what fillfactor keeps of each page for updates
    uint16_t rows;      // living or dead
    uint16_t row_bytes; // of these rows, aligned, with their line pointers
};

// Rows of a leaf page that share one key, `repeat` times in a row on the page.
struct KeyGroup {
    uint16_t key_bytes; // of the tuple that one row takes, aligned
    uint16_t rows;
    uint16_t repeat;
};

enum class BtreePageKind : uint8_t { leaf, internal, deleted, half_dead, unused };

struct BtreePage {
    uint32_t block = 0;
    BtreePageKind kind = BtreePageKind::unused;
    uint16_t free = 0;
    uint16_t killed_items = 0; // marked dead by scans: a rebuild leaves them out
    uint16_t pivot_bytes = 0;  // of a downlink between two rows of this page after suffix truncation; 0: none
    bool continues_right = false; // the last group goes on on the next page
    double live_share = 1;        // of the rows, those that a rebuild would still find in the table
    double live_variance = 0;     // of live_share, which is known from some of the rows only
    std::vector<KeyGroup> groups;
};

} // namespace opsrunbook::observed
