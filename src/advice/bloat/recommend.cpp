#include "advice/bloat/recommend.hpp"

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::format;
using base::size_text;

constexpr double much_pct = 30;
constexpr double most_pct = 50;
constexpr int64_t small_bytes = 10ll << 20;  // not worth anybody's time
constexpr int64_t rewrite_bytes = 1ll << 30; // less is not worth a locked table
constexpr double dead_pct = 5;               // VACUUM's work, not a rewrite's
// Measured on two cores; an order of magnitude for the planning of a window, not a promise.
constexpr double rewrite_bytes_a_second = 200e6;
constexpr double reindex_bytes_a_second = 88e6;

} // namespace

Remedy table_remedy(const observed::Bloat &bloat, const std::string &table)
{
    if (!bloat.measured())
        return {"not measured: " + bloat.unmeasured, ""};
    const int64_t wasted = bloat.wasted_bytes();
    if (bloat.wasted_pct() < much_pct || wasted < small_bytes)
        return {"nothing to do: new rows reuse the free space", ""};
    if (bloat.dead_pct >= dead_pct)
        return {
            format("%.0f %% are dead rows: VACUUM makes their space usable for new rows (the file keeps its "
                   "size). If they stay dead, an old transaction holds them: see the check xmin_horizon",
                   bloat.dead_pct),
            format("VACUUM (ANALYZE) %s;", table.c_str())};
    if (bloat.wasted_pct() < most_pct || wasted < rewrite_bytes)
        return {format("%s are free and will be reused by new rows; no rewrite needed",
                       size_text(wasted).c_str()),
                ""};
    const int64_t left = bloat.bytes - wasted;
    return {
        format("%s of %s are free. If the table will not grow back: pg_repack (brief locks, needs %s of free "
               "disk), or VACUUM FULL in a maintenance window, which locks out every reader and writer for "
               "about "
               "%s, writes %s again and rebuilds all indexes",
               size_text(wasted).c_str(), size_text(bloat.bytes).c_str(), size_text(left).c_str(),
               base::duration_text(static_cast<double>(bloat.bytes) / rewrite_bytes_a_second).c_str(),
               size_text(left).c_str()),
        format("-- in a maintenance window, all access is locked out: VACUUM (FULL, ANALYZE) %s;",
               table.c_str())};
}

Remedy index_remedy(const observed::Bloat &bloat, const std::string &index)
{
    if (!bloat.measured())
        return {"bloat not measured: " + bloat.unmeasured, ""};
    const int64_t wasted = bloat.wasted_bytes();
    if (bloat.pct < much_pct || wasted < small_bytes)
        return {"nothing to do", ""};
    return {format("a rebuild would give back %s of %s; it takes about %s, needs %s of free disk and locks "
                   "nobody out",
                   size_text(wasted).c_str(), size_text(bloat.bytes).c_str(),
                   base::duration_text(static_cast<double>(bloat.bytes) / reindex_bytes_a_second).c_str(),
                   size_text(bloat.bytes - wasted).c_str()),
            format("REINDEX INDEX CONCURRENTLY %s;", index.c_str())};
}

} // namespace opsrunbook::advice
