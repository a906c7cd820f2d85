#include "maintenance/observed_load.hpp"

#include <algorithm>
#include <thread>

#include "pg/database.hpp"
#include "pg/settings.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

std::optional<double> reading(const base::Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.real());
}

// 0 is no limit.
std::optional<double> limit(double setting)
{
    return setting > 0 ? std::optional(setting) : std::nullopt;
}

} // namespace

Load observe_load(int asking_pid)
{
    // A session that waits for a lock, a timeout or an extension's worker uses no processor.
    const pg::Result now = pg::as_house_owner([asking_pid] {
        return pg::query(
            "SELECT count(*) FILTER (WHERE state = 'active' AND backend_type = 'client backend' AND pid <> $1"
            " AND coalesce(wait_event_type, '') NOT IN ('Lock', 'Timeout', 'Extension'))::float8 AS active,"
            " count(*) FILTER (WHERE wait_event_type = 'Lock')::float8 AS waiters,"
            " (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::float8 FROM "
            "pg_stat_replication)"
            " AS lag,"
            " CASE WHEN current_setting('archive_mode') <> 'off' THEN (SELECT count(*)::float8"
            " FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') END AS to_archive"
            " FROM pg_stat_activity",
            {static_cast<int64_t>(asking_pid)});
    });
    Load load;
    load.active_sessions = reading(now.at(0, "active"));
    load.lock_waiters = reading(now.at(0, "waiters"));
    load.replication_lag_bytes = reading(now.at(0, "lag"));
    load.wal_files_to_archive = reading(now.at(0, "to_archive"));
    return load;
}

LoadLimits load_limits()
{
    constexpr double megabyte = 1024.0 * 1024.0;
    const pg::Settings set = pg::settings();
    LoadLimits limits;
    limits.active_sessions =
        active_session_limit(set.max_active_sessions, static_cast<int>(std::thread::hardware_concurrency()));
    limits.lock_waiters = limit(set.max_lock_waiters);
    limits.replication_lag_bytes = limit(set.max_replication_lag_mb * megabyte);
    limits.wal_files_to_archive = limit(set.max_wal_files_to_archive);
    return limits;
}

} // namespace opsrunbook::maintenance
