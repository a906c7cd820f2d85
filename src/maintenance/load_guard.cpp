#include "maintenance/load_guard.hpp"

#include <algorithm>
#include <vector>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

std::string plain_text(double value)
{
    return base::number_text(value);
}

std::string bytes_text(double value)
{
    return base::size_text(static_cast<int64_t>(value));
}

struct Gauge {
    std::optional<double> Load::*reading;
    std::optional<double> LoadLimits::*limit;
    const char *what;
    std::string (*text)(double);
};

// In the order of the bits of paused_by.
constexpr Gauge gauges[] = {
    {&Load::active_sessions, &LoadLimits::active_sessions, "active sessions", plain_text},
    {&Load::lock_waiters, &LoadLimits::lock_waiters, "sessions waiting for a lock", plain_text},
    {&Load::replication_lag_bytes, &LoadLimits::replication_lag_bytes, "of replication lag", bytes_text},
    {&Load::wal_files_to_archive, &LoadLimits::wal_files_to_archive, "WAL files to archive", plain_text},
};

} // namespace

double active_session_limit(int setting, int processors)
{
    return setting > 0 ? setting : 4 * std::max(processors, 1);
}

LoadDecision judge_load(const Load &load, const LoadLimits &limits, uint32_t paused_by)
{
    LoadDecision decision;
    std::vector<std::string> reasons;
    uint32_t bit = 1;
    for (const Gauge &gauge : gauges) {
        const std::optional<double> reading = load.*gauge.reading, limit = limits.*gauge.limit;
        const bool was_paused = (paused_by & bit) != 0;
        if (reading && limit) {
            const double resume = *limit * limits.resume_share;
            const std::string now = gauge.text(*reading) + " " + gauge.what;
            if (*reading > *limit)
                reasons.push_back(now + ", limit " + gauge.text(*limit));
            else if (was_paused && *reading > resume)
                reasons.push_back(now + ", goes on at " + gauge.text(resume));
            if (*reading > *limit || (was_paused && *reading > resume))
                decision.paused_by |= bit;
        }
        bit <<= 1;
    }
    decision.go = decision.paused_by == 0;
    decision.reason = decision.go ? "load within its limits" : "paused: " + base::join(reasons, "; ");
    return decision;
}

} // namespace opsrunbook::maintenance
