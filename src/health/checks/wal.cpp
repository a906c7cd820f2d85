// WAL: checkpoints, the buffers and the directory it goes through.
#include "health/checks/checks.hpp"

#include <algorithm>
#include <cmath>

#include "health/checks/setting_change.hpp"
#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::size_text;

constexpr double megabyte = 1024.0 * 1024;
constexpr double gigabyte = 1024 * megabyte;

// Counters since a reset say nothing before they have seen an ordinary hour.
constexpr double shortest_window_seconds = 3600;

double max_wal_bytes(const observed::Server &server)
{
    return server.setting_number("max_wal_size", 1024) * megabyte;
}

std::optional<double> wal_bytes_per_second(const observed::Server &server)
{
    if (!server.wal || !server.wal->bytes_since_reset || server.wal->since_reset_seconds.value_or(0) <= 0)
        return std::nullopt;
    return static_cast<double>(*server.wal->bytes_since_reset) / *server.wal->since_reset_seconds;
}

// The server starts a checkpoint once this much WAL was written since the last one
// (CalculateCheckpointSegments).
double wal_bytes_that_force_a_checkpoint(const observed::Server &server)
{
    return max_wal_bytes(server) / (1 + server.setting_number("checkpoint_completion_target", 0.9));
}

void checkpoints(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "checkpoints"))
        return;
    const observed::Server &server = seen.server;
    if (!server.checkpoints)
        return judge.unknown("the checkpoint counters could not be read");
    const observed::Checkpoints &counted = *server.checkpoints;
    const int64_t all = counted.timed + counted.requested;
    const double window = counted.since_reset_seconds.value_or(0);
    const double share =
        all > 0 ? 100.0 * static_cast<double>(counted.requested) / static_cast<double>(all) : 0;
    judge.fine(format("%s, %.0f %% of them requested", base::plural(all, "checkpoint").c_str(), share));
    if (counted.requested < 10 || window < shortest_window_seconds)
        return;
    // CHECKPOINT, CREATE DATABASE and base backups request checkpoints too; those that WAL requested come
    // with much WAL.
    const std::optional<double> rate = wal_bytes_per_second(server);
    if (rate && *rate * window / static_cast<double>(counted.requested) <
                    wal_bytes_that_force_a_checkpoint(server) / 2)
        return judge.fine(format("%s, %.0f %% of them requested, but by commands: there was little WAL",
                                 base::plural(all, "checkpoint").c_str(), share));
    Finding *const finding =
        judge.measure(share, "",
                      format("%.0f %% of %s were forced by max_wal_size (%s) instead of checkpoint_timeout",
                             share, base::plural(all, "checkpoint").c_str(),
                             size_text(static_cast<int64_t>(max_wal_bytes(server))).c_str()));
    if (!finding)
        return;
    // Room for one checkpoint_timeout at the mean rate, with as much again for peaks.
    const double timeout = server.setting_number("checkpoint_timeout", 300);
    const double completion = server.setting_number("checkpoint_completion_target", 0.9);
    const double needed = rate ? *rate * timeout * (1 + completion) * 2 : 0;
    const double proposed = std::ceil(std::max(needed, 2 * max_wal_bytes(server)) / gigabyte);
    finding->evidence.add("timed", counted.timed)
        .add("requested", counted.requested)
        .add("window_seconds", window)
        .add("wal_bytes_per_second", rate)
        .add("proposed_max_wal_size_gb", proposed);
    finding->cause =
        "max_wal_size too small for the WAL written -> more checkpoints -> more full-page images "
        "and I/O -> still more WAL";
    const SettingChange change = change_setting(server, "max_wal_size", format("%.0fGB", proposed));
    finding->fix = change.fix;
    finding->undo = change.undo;
}

void checkpoint_age(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "checkpoints"))
        return;
    const observed::Server &server = seen.server;
    if (!server.checkpoints || !server.checkpoints->since_redo_seconds ||
        !server.checkpoints->wal_since_redo_bytes)
        return judge.unknown("the last checkpoint could not be read");
    const int64_t wal = *server.checkpoints->wal_since_redo_bytes;
    const double timeout = server.setting_number("checkpoint_timeout", 300);
    const double since_redo = *server.checkpoints->since_redo_seconds;
    judge.fine(format("the last checkpoint began %s ago, %s of WAL since",
                      base::duration_text(since_redo).c_str(), size_text(wal).c_str()));
    if (static_cast<double>(wal) <= server.setting_number("wal_segment_size", 16 * megabyte))
        return; // an idle server needs no checkpoint
    // … and does none, however long, so that the next one is not due before checkpoint_timeout has passed
    // since WAL began to grow: that was when it left the file where redo lies, at the latest.
    const double age = std::min(since_redo, server.checkpoints->since_redo_file_seconds.value_or(since_redo));
    if (Finding *finding = judge.measure(
            age / timeout, "",
            format("no checkpoint begun in the last %s was completed, %.0f times checkpoint_timeout; a crash "
                   "recovery would replay %s of WAL",
                   base::duration_text(age).c_str(), age / timeout, size_text(wal).c_str()))) {
        finding->evidence.add("age_seconds", age)
            .add("since_redo_seconds", since_redo)
            .add("wal_since_redo_bytes", wal);
        finding->cause = server.in_recovery ? "no restartpoint on this standby -> its WAL cannot be removed"
                                            : "storage too slow, or the checkpointer fails -> the server log "
                                              "says which";
        finding->fix = "CHECKPOINT;";
    }
}

void backend_writes(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "checkpoints"))
        return;
    const observed::Server &server = seen.server;
    if (!server.checkpoints)
        return judge.unknown("the checkpoint counters could not be read");
    const int64_t fsyncs = server.checkpoints->fsyncs_by_backends;
    const double window = server.checkpoints->backends_since_reset_seconds.value_or(0);
    judge.fine(format("%s by sessions themselves", base::plural(fsyncs, "fsync").c_str()));
    if (window < shortest_window_seconds)
        return;
    const double an_hour = static_cast<double>(fsyncs) / window * 3600;
    // From 17 on only pg_stat_io counts them, with those of an index built or a table rewritten while a
    // checkpoint began (bulk_write.c), as every large restore has them: few are few, many may be harmless.
    if (server.version >= 170000 && judge.level(an_hour) != Status::ok)
        return judge.not_applicable(
            format("sessions fsynced files themselves %s times in %s, but from PostgreSQL 17 on index builds "
                   "that a checkpoint came across are counted among them, so nothing follows from it",
                   base::count_text(fsyncs).c_str(), base::duration_text(window).c_str()));
    if (Finding *finding =
            judge.measure(an_hour, "",
                          format("sessions had to fsync files themselves %s times in %s: the checkpointer's "
                                 "queue was full",
                                 base::count_text(fsyncs).c_str(), base::duration_text(window).c_str()))) {
        finding->evidence.add("fsyncs", fsyncs)
            .add("buffers_by_backends", server.checkpoints->buffers_by_backends)
            .add("window_seconds", window);
        // the queue has a place for each shared buffer
        constexpr double usual_blocks = 16384;
        const double blocks =
            std::max(usual_blocks, 2 * server.setting_number("shared_buffers", usual_blocks));
        const SettingChange change =
            change_setting(server, "shared_buffers", format("%.0fMB", blocks * 8192 / megabyte));
        finding->fix = change.fix;
        finding->undo = change.undo;
    }
}

void wal_buffers_full(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "WAL"))
        return;
    const observed::Server &server = seen.server;
    if (!server.wal || !server.wal->buffers_full)
        return judge.unknown("the WAL counters could not be read");
    const int64_t full = *server.wal->buffers_full;
    const double window = server.wal->since_reset_seconds.value_or(0);
    judge.fine(
        format("WAL was written %s times because wal_buffers were full", base::count_text(full).c_str()));
    if (window < shortest_window_seconds)
        return;
    if (Finding *finding = judge.measure(
            static_cast<double>(full) / window * 60, "",
            format("sessions had to write WAL themselves %s times in %s because wal_buffers were full",
                   base::count_text(full).c_str(), base::duration_text(window).c_str()))) {
        finding->evidence.add("wal_buffers_full", full).add("window_seconds", window);
        const double blocks = server.setting_number("wal_buffers", 512);
        const SettingChange change = change_setting(
            server, "wal_buffers", format("%.0fMB", std::max(16.0, blocks * 8192 * 4 / megabyte)));
        finding->fix = change.fix;
        finding->undo = change.undo;
    }
}

// Who makes the server keep old WAL, when pg_wal is larger than the settings explain.
void explain_directory(const observed::Server &server, Finding &finding)
{
    const observed::Slot *holder = nullptr;
    for (const observed::Slot &slot : server.slots)
        if (!holder || slot.retained_bytes.value_or(0) > holder->retained_bytes.value_or(0))
            holder = &slot;
    const auto segment = static_cast<int64_t>(server.setting_number("wal_segment_size", 16 * megabyte));
    const int64_t unarchived =
        server.archiver && server.archiver->on ? server.archiver->ready_files.value_or(0) * segment : 0;
    const int64_t kept = holder ? holder->retained_bytes.value_or(0) : 0;
    finding.evidence.add("kept_by_slots_bytes", kept).add("waiting_for_archive_bytes", unarchived);
    if (kept > unarchived && static_cast<double>(kept) > max_wal_bytes(server)) {
        finding.cause = format("replication slot %s keeps %s -> pg_wal grows", holder->name.c_str(),
                               size_text(kept).c_str());
        finding.fix = holder->active ? "-- let the slot's reader catch up: SELECT * FROM pg_stat_replication;"
                                     : format("SELECT pg_drop_replication_slot(%s);",
                                              base::quote_literal(holder->name).c_str());
    }
    else if (static_cast<double>(unarchived) > max_wal_bytes(server)) {
        finding.cause = format("%s wait for the archiver -> pg_wal grows", size_text(unarchived).c_str());
        finding.fix = "SELECT * FROM opsrunbook.findings(ARRAY['archiving', 'archive_backlog']);";
    }
    else
        finding.fix = "CHECKPOINT;";
}

void wal_directory(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "WAL") || unseen(seen, judge, "WAL directory"))
        return;
    const observed::Server &server = seen.server;
    if (!server.wal || !server.wal->directory_bytes)
        return judge.unknown("the size of pg_wal could not be read");
    const auto bytes = static_cast<double>(*server.wal->directory_bytes);
    const double expected =
        std::max(max_wal_bytes(server), server.setting_number("min_wal_size", 80) * megabyte) +
        server.setting_number("wal_keep_size", 0) * megabyte;
    judge.fine(format("pg_wal has %s, the settings explain %s",
                      size_text(*server.wal->directory_bytes).c_str(),
                      size_text(static_cast<int64_t>(expected)).c_str()));
    if (bytes - expected < gigabyte) // max_wal_size is a soft limit, small ones are passed by a burst
        return;
    if (Finding *finding = judge.measure(100 * bytes / expected, "",
                                         format("pg_wal has %s, but max_wal_size and wal_keep_size explain "
                                                "only %s",
                                                size_text(*server.wal->directory_bytes).c_str(),
                                                size_text(static_cast<int64_t>(expected)).c_str()))) {
        finding->evidence.add("bytes", *server.wal->directory_bytes)
            .add("expected_bytes", static_cast<int64_t>(expected));
        explain_directory(server, *finding);
    }
}

constexpr Check checks[] = {
    {
        .id = "checkpoints",
        .title = "checkpoints forced by the amount of WAL",
        .category = Category::wal,
        .points = 30,
        .metric = "checkpoints_requested_pct",
        .unit = "%",
        .warning = 20,
        .critical = 50,
        .bottleneck = true,
        .explanation =
            "The share of checkpoints that max_wal_size forced, once there were ten of them and an "
            "hour was counted. Each begins a new round of full-page images. Those that commands "
            "asked for, with little WAL between them, do not count.",
        .source = "pg_stat_bgwriter.checkpoints_req / (checkpoints_req + checkpoints_timed); from 17 "
                  "pg_stat_checkpointer.num_requested and num_timed",
        .evaluate = checkpoints,
    },
    {
        .id = "checkpoint_age",
        .title = "age of the last checkpoint",
        .category = Category::wal,
        .points = 40,
        .metric = "checkpoint_age_timeouts",
        .unit = "x checkpoint_timeout",
        .warning = 6,
        .critical = 12,
        .explanation =
            "How long ago the last completed checkpoint began, in multiples of checkpoint_timeout, while "
            "there is WAL to checkpoint; after an idle time, since WAL began to grow. Crash recovery starts "
            "from there.",
        .source = "pg_control_checkpoint().checkpoint_time and redo_lsn; the last write to redo_wal_file, "
                  "from pg_ls_waldir()",
        .evaluate = checkpoint_age,
    },
    {
        .id = "backend_writes",
        .title = "sessions that fsync data files themselves",
        .category = Category::wal,
        .points = 20,
        .metric = "backend_fsyncs_per_hour",
        .unit = "per hour",
        .warning = 1,
        .critical = 100,
        .bottleneck = true,
        .explanation = "A session fsyncs a data file itself when the checkpointer's queue is full; every "
                       "such commit is slow. From PostgreSQL 17 on index builds count among them: few are "
                       "fine, many say nothing.",
        .source = "pg_stat_bgwriter.buffers_backend_fsync over the time since its reset; from 17 on "
                  "pg_stat_io.fsyncs of client backends, object relation, context normal",
        .evaluate = backend_writes,
    },
    {
        .id = "wal_buffers_full",
        .title = "WAL buffers too small",
        .category = Category::wal,
        .points = 15,
        .metric = "wal_buffers_full_per_minute",
        .unit = "per minute",
        .warning = 1000,
        .bottleneck = true,
        .explanation = "How often a session had to write WAL to make room in wal_buffers, over at least an "
                       "hour.",
        .source = "pg_stat_wal.wal_buffers_full over the time since its reset",
        .evaluate = wal_buffers_full,
    },
    {
        .id = "wal_directory",
        .title = "size of pg_wal",
        .category = Category::wal,
        .points = 40,
        .metric = "wal_directory_pct",
        .unit = "% of what the settings explain",
        .warning = 200,
        .critical = 400,
        .explanation = "The size of pg_wal against max_wal_size plus wal_keep_size, from one gigabyte too "
                       "much on, with the slot or the archiver that makes the server keep it.",
        .source = "pg_ls_waldir() against max_wal_size + wal_keep_size",
        .evaluate = wal_directory,
    },
};

} // namespace

std::span<const Check> wal_checks()
{
    return checks;
}

} // namespace opsrunbook::health
