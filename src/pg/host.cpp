#include "pg/host.hpp"

#include <algorithm>
#include <fstream>
#include <unistd.h>

namespace opsrunbook::pg {

namespace {

std::optional<int64_t> number_in(const char *path)
{
    std::ifstream file(path);
    int64_t number = 0;
    return file >> number && number > 0 ? std::optional(number) : std::nullopt;
}

} // namespace

std::optional<int64_t> memory_bytes()
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    std::optional<int64_t> bytes;
    if (pages > 0 && page > 0)
        bytes = static_cast<int64_t>(pages) * page;
    for (const char *limit : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
        if (const auto allowed = number_in(limit))
            bytes = std::min(bytes.value_or(*allowed), *allowed);
    return bytes;
}

} // namespace opsrunbook::pg
