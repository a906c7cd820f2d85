#pragma once
// Names at addresses that stay, each with just the room it needs: hundreds of thousands of relations would
// otherwise carry 64 bytes each through every pass.

#include <cstring>
#include <memory>
#include <vector>

namespace opsrunbook::observed {

class NamePool {
public:
    // A copy that lives as long as the pool.
    const char *keep(const char *name)
    {
        const size_t room = std::strlen(name) + 1;
        if (room > left) {
            left = room > chunk ? room : chunk;
            free = chunks.emplace_back(std::make_unique_for_overwrite<char[]>(left)).get();
        }
        char *const kept = free;
        std::memcpy(kept, name, room);
        free += room;
        left -= room;
        return kept;
    }

private:
    static constexpr size_t chunk = 256 * 1024;

    std::vector<std::unique_ptr<char[]>> chunks;
    char *free = nullptr;
    size_t left = 0;
};

} // namespace opsrunbook::observed
