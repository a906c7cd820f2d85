#pragma once
// A vector of many megabytes that is filled once: with large pages the kernel is asked for memory tens of
// times instead of tens of thousands of times.  Where the kernel has none to give, nothing changes.

#include <cstdint>
#include <vector>

#include <sys/mman.h>

namespace opsrunbook::base {

template <class T> void reserve_large(std::vector<T> &vector, size_t count)
{
    constexpr uintptr_t large = 2 << 20;
    vector.reserve(count);
    const uintptr_t from = (reinterpret_cast<uintptr_t>(vector.data()) + large - 1) & ~(large - 1);
    const uintptr_t to = reinterpret_cast<uintptr_t>(vector.data() + vector.capacity()) & ~(large - 1);
    if (from < to) // advice only: what is not followed costs time, never correctness
        (void)madvise(reinterpret_cast<void *>(from), to - from, MADV_HUGEPAGE);
}

} // namespace opsrunbook::base
