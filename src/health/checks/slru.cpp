// The small caches beside shared_buffers: status of transactions, subtransactions, multixacts.
#include "health/checks/checks.hpp"

#include <algorithm>
#include <cmath>

#include "health/checks/setting_change.hpp"
#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;

// Who fills them, and what helps where their size is fixed (before 17).
struct Cause {
    std::string_view cache;
    const char *cause, *advice;
};
constexpr Cause causes[] = {
    {"subtransaction",
     "transactions have more than 64 subtransactions (savepoints, EXCEPTION blocks) while a long one runs -> "
     "every row's transaction is looked up in pg_subtrans",
     "fewer savepoints a transaction, shorter transactions beside them"},
    {"multixact_member",
     "many sessions lock the same rows (foreign keys, FOR SHARE) -> each row's lockers are looked up",
     "shorter transactions on the rows that many others refer to"},
    {"multixact_offset",
     "many sessions lock the same rows (foreign keys, FOR SHARE) -> each row's lockers are looked up",
     "shorter transactions on the rows that many others refer to"},
    {"transaction",
     "rows of many past transactions are read for the first time -> each one's status is looked up",
     "VACUUM (FREEZE) of large tables right after they were loaded; the cache grows with shared_buffers up "
     "to 1 MB"},
};

void advise(const observed::Server &server, const observed::SlruCache &cache, Finding &finding)
{
    const auto *const known =
        std::find_if(std::begin(causes), std::end(causes),
                     [&cache](const Cause &cause) { return cause.cache == cache.name; });
    if (known != std::end(causes))
        finding.cause = known->cause;
    const std::string setting = cache.name + "_buffers";
    if (const auto found = server.settings.find(setting); found != server.settings.end()) {
        constexpr double least_blocks = 128; // 1 MB
        const double blocks = std::max(least_blocks, 2 * server.setting_number(setting, 0));
        const SettingChange change =
            change_setting(server, setting, std::to_string(static_cast<int64_t>(blocks)));
        finding.fix = change.fix;
        finding.undo = change.undo;
        return;
    }
    finding.fix = format("-- %s; from PostgreSQL 17 on %s sets its size",
                         known == std::end(causes) ? "its size is fixed" : known->advice, setting.c_str());
}

// Each is read through from the first access on: a low ratio of few reads is one that warms up.
void slru_cache(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "SLRU caches"))
        return;
    constexpr int64_t least_reads = 10000;
    for (const observed::SlruCache &cache : seen.server.slru_caches) {
        if (cache.reads < least_reads || cache.name == "other")
            continue;
        const int64_t all = cache.hits + cache.reads;
        const double ratio = 100.0 * static_cast<double>(cache.hits) / static_cast<double>(all);
        Finding *const finding = judge.measure(
            ratio, cache.name,
            format("%.1f %% of %s look-ups in the %s cache were answered from memory, %s blocks were read",
                   ratio, count_text(all).c_str(), cache.name.c_str(), count_text(cache.reads).c_str()));
        if (!finding)
            continue;
        finding->evidence.add("blocks_hit", cache.hits).add("blocks_read", cache.reads);
        advise(seen.server, cache, *finding);
    }
    judge.fine("the caches of transactions' status answer from memory");
}

constexpr Check checks[] = {
    {
        .id = "slru_cache",
        .title = "look-ups of transactions' status that miss their cache",
        .category = Category::performance,
        .points = 20,
        .metric = "slru_hit_ratio",
        .unit = "%",
        .direction = Direction::below,
        .warning = 90,
        .critical = 50,
        .bottleneck = true,
        .explanation =
            "The status of transactions, of subtransactions and of multixacts is kept in small caches beside "
            "shared_buffers. When one is too small for what is looked up, each look-up reads a block under a "
            "lock that all sessions share. Judged from 10,000 blocks read on, each cache by itself.",
        .source = "pg_stat_slru: blks_hit / (blks_hit + blks_read)",
        .evaluate = slru_cache,
    },
};

} // namespace

std::span<const Check> slru_checks()
{
    return checks;
}

} // namespace opsrunbook::health
