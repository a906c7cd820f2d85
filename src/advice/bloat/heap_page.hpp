#pragma once
// What of a heap page's free space no rewrite would give back.

#include <algorithm>
#include <cstdint>

#include "observed/pages.hpp"

namespace opsrunbook::advice {

// A page of wide rows keeps what is too narrow for one more of them, however often the table is rewritten;
// a page filled up to its fillfactor keeps the reserve.  The rows there are tell how wide rows are.
inline uint16_t kept_free(const observed::HeapPage &page)
{
    constexpr int header_bytes = 24;
    int kept = page.reserve;
    if (page.rows > 0 && page.row_bytes > 0) {
        const int usable = observed::page_bytes - header_bytes, width = page.row_bytes / page.rows;
        const int fitting = std::max(1, (usable - page.reserve) / width);
        kept = std::max(kept, usable - fitting * width);
    }
    return static_cast<uint16_t>(std::min<int>(kept, page.free));
}

} // namespace opsrunbook::advice
