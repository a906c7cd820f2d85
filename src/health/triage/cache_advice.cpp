#include "health/triage/cache_advice.hpp"

#include <algorithm>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using base::size_text;

constexpr int64_t enough_blocks = 50000; // fewer accesses say nothing
constexpr int64_t megabyte = 1 << 20;

double hit_percent(int64_t hit, int64_t read)
{
    return hit + read == 0 ? 100 : 100.0 * static_cast<double>(hit) / static_cast<double>(hit + read);
}

// A quarter of the memory is the manual's starting point; more than the database itself is of no use.
int64_t good_shared_buffers(const CacheNumbers &numbers)
{
    const int64_t quarter = numbers.memory_bytes.value_or(0) / 4;
    const int64_t useful = std::max(numbers.database_bytes + numbers.database_bytes / 4, 128 * megabyte);
    return std::min(quarter, useful) / megabyte * megabyte;
}

std::string set_megabytes(const char *name, int64_t bytes)
{
    return format("ALTER SYSTEM SET %s = '%lldMB';", name, static_cast<long long>(bytes / megabyte));
}

CacheAdvice hit_ratio(const CacheNumbers &numbers)
{
    const int64_t blocks = numbers.blocks_hit + numbers.blocks_read;
    const double pct = hit_percent(numbers.blocks_hit, numbers.blocks_read);
    CacheAdvice advice{"cache hit ratio",
                       format("%.2f %% of %s block accesses", pct, count_text(blocks).c_str()), "", "none",
                       ""};
    if (blocks < enough_blocks)
        advice.recommendation = "too few accesses since the counters were reset to tell";
    else if (pct >= 90)
        advice.recommendation = "good: nothing to do";
    else {
        advice.recommendation =
            "below 90 %: see the rows below for room in shared_buffers and for the tables "
            "that miss most";
        advice.action_required = "enlarge shared_buffers or read fewer blocks";
    }
    return advice;
}

CacheAdvice shared_buffers(const CacheNumbers &numbers)
{
    CacheAdvice advice{"shared_buffers",
                       format("%s (memory %s, database %s)", size_text(numbers.shared_buffers).c_str(),
                              numbers.memory_bytes ? size_text(*numbers.memory_bytes).c_str() : "unknown",
                              size_text(numbers.database_bytes).c_str()),
                       "", "none", ""};
    const int64_t good = good_shared_buffers(numbers);
    if (numbers.shared_buffers >= numbers.database_bytes)
        advice.recommendation = "the whole database fits";
    else if (!numbers.memory_bytes)
        advice.recommendation = "the machine's memory is not known: a quarter of it is a good start";
    else if (numbers.shared_buffers * 3 / 2 >= good)
        advice.recommendation = format("near a quarter of the memory (%s): nothing to do",
                                       size_text(*numbers.memory_bytes / 4).c_str());
    else {
        advice.recommendation =
            format("set it to %s; takes effect at the next restart", size_text(good).c_str());
        advice.action_required = "enlarge shared_buffers and restart";
        advice.fix_command = set_megabytes("shared_buffers", good);
    }
    return advice;
}

CacheAdvice effective_cache_size(const CacheNumbers &numbers)
{
    CacheAdvice advice{"effective_cache_size", size_text(numbers.effective_cache_size), "", "none", ""};
    if (!numbers.memory_bytes) {
        advice.recommendation = "the machine's memory is not known: two thirds of it are a good value";
        return advice;
    }
    const int64_t good = *numbers.memory_bytes * 2 / 3;
    const double of_memory =
        static_cast<double>(numbers.effective_cache_size) / static_cast<double>(*numbers.memory_bytes);
    if (of_memory >= 0.4 && of_memory <= 0.95) {
        advice.recommendation = format("%.0f %% of the memory: nothing to do", 100 * of_memory);
        return advice;
    }
    advice.recommendation =
        format("%.0f %% of the memory: the planner misjudges what is cached; set it to %s", 100 * of_memory,
               size_text(good).c_str());
    advice.action_required = "set effective_cache_size and reload";
    advice.fix_command = set_megabytes("effective_cache_size", good) + " SELECT pg_reload_conf();";
    return advice;
}

CacheAdvice temporary_files(const CacheNumbers &numbers)
{
    CacheAdvice advice{"temporary files",
                       format("%s in %s; work_mem %s", size_text(numbers.temp_bytes).c_str(),
                              base::plural(numbers.temp_files, "file").c_str(),
                              size_text(numbers.work_mem).c_str()),
                       "", "none", ""};
    if (!numbers.temp_bytes_per_hour)
        advice.recommendation = "the counters are too young to tell";
    else if (*numbers.temp_bytes_per_hour <= 1024.0 * megabyte)
        advice.recommendation = "at most 1 GB an hour: nothing to do";
    else {
        advice.recommendation = format("%s an hour: sorts and hashes are larger than work_mem",
                                       size_text(static_cast<int64_t>(*numbers.temp_bytes_per_hour)).c_str());
        advice.action_required = "enlarge work_mem, best for the roles that need it only";
        advice.fix_command = format("ALTER SYSTEM SET work_mem = '%lldkB'; SELECT pg_reload_conf();",
                                    static_cast<long long>(numbers.work_mem * 2 / 1024));
    }
    return advice;
}

CacheAdvice missing_table(const CacheNumbers &numbers, const CacheNumbers::Table &table)
{
    const double pct = hit_percent(table.hit, table.read);
    CacheAdvice advice{"table " + table.name,
                       format("hit %.1f %%, %s blocks read (size %s)", pct, count_text(table.read).c_str(),
                              size_text(table.bytes).c_str()),
                       "", "none", ""};
    const bool matters = table.hit + table.read >= enough_blocks && pct < 90;
    if (!matters)
        advice.recommendation = "few misses, or too few accesses to tell";
    else if (table.seq_scans > 0 && table.bytes > numbers.shared_buffers / 4) {
        advice.recommendation = format("read in whole %s times and too large to stay cached: an index may do",
                                       count_text(table.seq_scans).c_str());
        advice.action_required = "look for a missing index";
        advice.fix_command = "SELECT * FROM performance.recommend_indexes();";
    }
    else {
        advice.recommendation = "its working set does not stay cached: more shared_buffers, or fewer blocks "
                                "through partitioning or less bloat";
        advice.action_required = "look at its bloat";
        advice.fix_command = "SELECT * FROM performance.table_bloat_analysis;";
    }
    return advice;
}

} // namespace

std::vector<CacheAdvice> cache_advice(const CacheNumbers &numbers)
{
    std::vector<CacheAdvice> all = {hit_ratio(numbers), shared_buffers(numbers),
                                    effective_cache_size(numbers), temporary_files(numbers)};
    for (const CacheNumbers::Table &table : numbers.tables)
        all.push_back(missing_table(numbers, table));
    return all;
}

} // namespace opsrunbook::health
