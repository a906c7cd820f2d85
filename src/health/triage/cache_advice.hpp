#pragma once
// What to do about the cache, from its numbers.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace opsrunbook::health {

struct CacheNumbers {
    int64_t blocks_hit = 0, blocks_read = 0;
    int64_t shared_buffers = 0, effective_cache_size = 0, work_mem = 0; // bytes
    int64_t database_bytes = 0;
    std::optional<int64_t> memory_bytes;
    std::optional<double> temp_bytes_per_hour; // nothing: too early to tell
    int64_t temp_bytes = 0, temp_files = 0;
    struct Table {
        std::string name; // as SQL names it
        int64_t hit, read, seq_scans, bytes;
    };
    std::vector<Table> tables; // the ones with most misses first
};

struct CacheAdvice {
    std::string metric, current_value, recommendation;
    std::string action_required; // "none", or what to do
    std::string fix_command;     // empty: nothing to run
};

std::vector<CacheAdvice> cache_advice(const CacheNumbers &numbers);

} // namespace opsrunbook::health
