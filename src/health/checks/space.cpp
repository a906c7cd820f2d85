// Things that fill up: file systems, the notification queue, multixact members.
#include "health/checks/checks.hpp"

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::size_text;

constexpr double gigabyte = 1024.0 * 1024 * 1024;

// On a large file system the last few per cent are still a lot.
constexpr double plenty_bytes = 200 * gigabyte;
constexpr double lethal_free_pct = 2;

void disk_space(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "disk space"))
        return;
    for (const auto &[topic, reason] : seen.server.unseen)
        if (topic.starts_with("disk space of "))
            judge.unknown(format("%s could not be read: %s", topic.c_str(), reason.c_str()));
    std::vector<std::string> lines;
    for (const observed::Volume &volume : seen.server.volumes) {
        if (volume.total_bytes <= 0)
            continue;
        const double free_pct =
            100.0 * static_cast<double>(volume.free_bytes) / static_cast<double>(volume.total_bytes);
        lines.push_back(format("%s of %s free (%.0f %%) below %s", size_text(volume.free_bytes).c_str(),
                               size_text(volume.total_bytes).c_str(), free_pct, volume.holds.c_str()));
        if (static_cast<double>(volume.free_bytes) > plenty_bytes)
            continue;
        Finding *const finding = judge.measure(
            free_pct, volume.holds,
            format("the file system of %s has %s of %s left (%.1f %%)", volume.holds.c_str(),
                   size_text(volume.free_bytes).c_str(), size_text(volume.total_bytes).c_str(), free_pct));
        if (!finding)
            continue;
        finding->lethal = free_pct < lethal_free_pct;
        finding->evidence.add("path", volume.path)
            .add("free_bytes", volume.free_bytes)
            .add("total_bytes", volume.total_bytes);
        finding->cause = volume.holds.find("pg_wal") != std::string::npos
                             ? "no space for WAL -> the server stops with a PANIC"
                             : "no space for data -> statements that write fail";
        // on a file system of its own, pg_wal is filled by those who make the server keep WAL
        finding->fix = volume.holds.starts_with("pg_wal")
                           ? "SELECT * FROM opsrunbook.findings(ARRAY['wal_directory', 'replication_slots', "
                             "'inactive_slots', 'archiving', 'archive_backlog', 'checkpoint_age']);"
                           : "SELECT * FROM get_storage_usage_stats() ORDER BY size_bytes DESC LIMIT 20;";
    }
    judge.fine(base::join(lines, "; "));
}

void notify_queue(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "notification queue"))
        return;
    if (!seen.server.notify_queue_pct)
        return judge.fine("a standby has no notification queue");
    const double used = *seen.server.notify_queue_pct;
    if (Finding *finding = judge.measure(
            used, "",
            format("%.0f %% of the NOTIFY queue is used: a session that LISTENs sits in a long transaction",
                   used))) {
        finding->cause =
            "a listening session in a transaction -> the queue cannot be emptied -> at 100 % every "
            "NOTIFY fails at commit";
        // the server knows which session it is but shows it only in its log
        finding->fix =
            "-- the server log names the session (\"NOTIFY queue is … full\"); it is one of these, of "
            "any database: SELECT pid, datname, usename, application_name, xact_start, state, query "
            "FROM pg_stat_activity WHERE backend_type = 'client backend' AND xact_start IS NOT NULL "
            "AND pid <> pg_backend_pid() ORDER BY xact_start;";
    }
    judge.fine(format("%.1f %% of the NOTIFY queue is used", used));
}

void multixact_members(const Observations &seen, Judge &judge)
{
    if (!seen.server.multixact_member_bytes)
        return judge.unknown("pg_multixact/members could not be read");
    // 409 groups of four members fit a page of 8 kB (multixact.c), and there are 2^32 members
    constexpr double all_bytes = 4294967296.0 / 1636 * 8192;
    const auto bytes = *seen.server.multixact_member_bytes;
    const double used = 100.0 * static_cast<double>(bytes) / all_bytes;
    if (Finding *finding = judge.measure(
            used, "",
            format("multixact members take %s, %.0f %% of what there can be: at 100 %% shared row "
                   "locks fail",
                   size_text(bytes).c_str(), used))) {
        finding->evidence.add("bytes", bytes);
        finding->lethal = finding->status == Status::critical && used > 90;
        finding->cause = "many sessions lock the same rows together -> members pile up until every table is "
                         "vacuumed beyond them";
        finding->fix = "-- in every database: VACUUM (FREEZE); the tables with the highest "
                       "mxid_age(relminmxid) first";
    }
    judge.fine(
        format("multixact members take %s, %.1f %% of what there can be", size_text(bytes).c_str(), used));
}

constexpr Check checks[] = {
    {
        .id = "disk_space",
        .title = "free disk space",
        .category = Category::storage,
        .points = 100,
        .metric = "disk_free_pct",
        .unit = "%",
        .direction = Direction::below,
        .warning = 15,
        .critical = 5,
        .explanation =
            "What is free on the file systems of the data directory, pg_wal and the tablespaces, "
            "as far as the server may use it; file systems with more than 200 GB left do not count.",
        .source = "statvfs(): f_bavail / (used + f_bavail), as df",
        .evaluate = disk_space,
    },
    {
        .id = "notify_queue",
        .title = "NOTIFY queue",
        .category = Category::storage,
        .points = 40,
        .metric = "notify_queue_pct",
        .unit = "%",
        .warning = 50,
        .critical = 75,
        .explanation = "How full the queue of LISTEN and NOTIFY is. It empties when every listening session "
                       "has read it, which it does between transactions.",
        .source = "pg_notification_queue_usage()",
        .evaluate = notify_queue,
    },
    {
        .id = "multixact_members",
        .title = "multixact member space",
        .category = Category::wraparound,
        .points = 100,
        .metric = "multixact_members_pct",
        .unit = "%",
        .warning = 50,
        .critical = 75,
        .explanation = "The space of multixact members, which runs out independently of multixact ids when "
                       "many sessions lock the same rows. From 50 % on, autovacuum freezes aggressively.",
        .source = "size of pg_multixact/members / (2^32 members at 1636 a page)",
        .evaluate = multixact_members,
    },
};

} // namespace

std::span<const Check> space_checks()
{
    return checks;
}

} // namespace opsrunbook::health
