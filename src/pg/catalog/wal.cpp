#include "pg/catalog/topics.hpp"

#include "base/text.hpp"
#include "pg/role.hpp"
#include "pg/settings.hpp"

namespace opsrunbook::pg {

using namespace observed;
using base::Value;

void read_archiver(Server &server)
{
    const Result rows =
        query("SELECT archived_count, failed_count, last_failed_wal,"
              " extract(epoch FROM clock_timestamp() - last_archived_time)::float8 AS since_archived,"
              " extract(epoch FROM clock_timestamp() - last_failed_time)::float8 AS since_failed,"
              " current_setting('archive_mode') AS mode,"
              " coalesce(nullif(current_setting('archive_command'), '(disabled)'), '') ||"
              " current_setting('archive_library') AS target FROM pg_stat_archiver");
    Archiver archiver;
    archiver.on =
        rows.at(0, "mode").text() == "always" || (rows.at(0, "mode").text() == "on" && !server.in_recovery);
    archiver.command_or_library = rows.at(0, "target").text();
    archiver.archived = rows.at(0, "archived_count").integer();
    archiver.failed = rows.at(0, "failed_count").integer();
    archiver.last_failed_segment = rows.at(0, "last_failed_wal").text();
    archiver.since_last_archived = optional_real(rows.at(0, "since_archived"));
    archiver.since_last_failed = optional_real(rows.at(0, "since_failed"));
    server.archiver = archiver;
    if (!archiver.on)
        return;
    topic(server, "archive status directory", [&server] {
        const Result files =
            query("SELECT count(*) AS ready,"
                  " extract(epoch FROM clock_timestamp() - min(modification))::float8 AS oldest"
                  " FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'");
        server.archiver->ready_files = files.at(0, "ready").integer();
        server.archiver->oldest_ready_seconds = optional_real(files.at(0, "oldest"));
    });
    // The upper half of a system identifier is the second in which initdb made it.
    topic(server, "base backups", [&server] {
        const Result backups =
            query("SELECT extract(epoch FROM clock_timestamp() - max(w.modification))::float8 AS since_last,"
                  " extract(epoch FROM clock_timestamp())::float8"
                  " - (SELECT (system_identifier >> 32) & 4294967295 FROM pg_control_system())::float8 AS "
                  "cluster_age"
                  " FROM pg_ls_waldir() w WHERE w.name ~ '^[0-9A-F]{24}\\.[0-9A-F]{8}\\.backup$'");
        server.base_backups =
            BaseBackups{optional_real(backups.at(0, "since_last")), backups.at(0, "cluster_age").real()};
    });
}

void read_checkpoints(Server &server)
{
    const char *const sql =
        server.version >= 170000
            ? "SELECT c.num_timed AS timed, c.num_requested AS requested, coalesce(io.writes, 0)::int8 AS "
              "by_backends,"
              " coalesce(io.fsyncs, 0)::int8 AS fsyncs,"
              " extract(epoch FROM clock_timestamp() - c.stats_reset)::float8 AS since_reset,"
              " extract(epoch FROM clock_timestamp() - io.stats_reset)::float8 AS backends_since_reset,"
              " extract(epoch FROM clock_timestamp() - k.checkpoint_time)::float8 AS since_redo, k.redo_lsn"
              " FROM pg_stat_checkpointer c, pg_control_checkpoint() k,"
              " (SELECT sum(writes) AS writes, sum(fsyncs) AS fsyncs, max(stats_reset) AS stats_reset FROM "
              "pg_stat_io"
              " WHERE backend_type = 'client backend' AND object = 'relation' AND context = 'normal') io"
            : "SELECT b.checkpoints_timed AS timed, b.checkpoints_req AS requested, b.buffers_backend AS "
              "by_backends,"
              " b.buffers_backend_fsync AS fsyncs,"
              " extract(epoch FROM clock_timestamp() - b.stats_reset)::float8 AS since_reset,"
              " extract(epoch FROM clock_timestamp() - b.stats_reset)::float8 AS backends_since_reset,"
              " extract(epoch FROM clock_timestamp() - k.checkpoint_time)::float8 AS since_redo, k.redo_lsn"
              " FROM pg_stat_bgwriter b, pg_control_checkpoint() k";
    const Result rows =
        query(base::format("SELECT *, pg_wal_lsn_diff(%s, redo_lsn)::int8 AS wal_since_redo FROM (%s) c",
                           server.in_recovery ? "pg_last_wal_replay_lsn()" : "pg_current_wal_lsn()", sql));
    server.checkpoints = Checkpoints{rows.at(0, "timed").integer(),
                                     rows.at(0, "requested").integer(),
                                     rows.at(0, "by_backends").integer(),
                                     rows.at(0, "fsyncs").integer(),
                                     optional_real(rows.at(0, "since_reset")),
                                     optional_real(rows.at(0, "backends_since_reset")),
                                     optional_real(rows.at(0, "since_redo")),
                                     optional_integer(rows.at(0, "wal_since_redo")),
                                     std::nullopt};
}

void read_slru_caches(Server &server)
{
    const Result rows = query(
        "SELECT CASE name WHEN 'CommitTs' THEN 'commit_timestamp' WHEN 'MultiXactMember' THEN "
        "'multixact_member'"
        " WHEN 'MultiXactOffset' THEN 'multixact_offset' WHEN 'Serial' THEN 'serializable'"
        " WHEN 'Subtrans' THEN 'subtransaction' WHEN 'Xact' THEN 'transaction' ELSE lower(name) END AS name,"
        " blks_hit, blks_read FROM pg_stat_slru");
    for (size_t r = 0; r < rows.size(); ++r)
        server.slru_caches.push_back(
            {rows.at(r, "name").text(), rows.at(r, "blks_hit").integer(), rows.at(r, "blks_read").integer()});
}

void read_wal(Server &server)
{
    const Result rows = query("SELECT wal_bytes::int8 AS bytes, wal_fpi, wal_buffers_full,"
                              " extract(epoch FROM clock_timestamp() - stats_reset)::float8 AS since_reset"
                              " FROM pg_stat_wal");
    Wal wal;
    wal.bytes_since_reset = optional_integer(rows.at(0, "bytes"));
    wal.full_page_images = optional_integer(rows.at(0, "wal_fpi"));
    wal.buffers_full = optional_integer(rows.at(0, "wal_buffers_full"));
    wal.since_reset_seconds = optional_real(rows.at(0, "since_reset"));
    server.wal = wal;
    topic(server, "WAL directory", [&server] {
        const Result files = query(
            "SELECT sum(w.size)::int8 AS bytes, extract(epoch FROM clock_timestamp() - max(w.modification)"
            " FILTER (WHERE w.name = k.redo_wal_file))::float8 AS redo_file_written"
            " FROM pg_ls_waldir() w, pg_control_checkpoint() k");
        server.wal->directory_bytes = files.at(0, "bytes").integer();
        if (server.checkpoints)
            server.checkpoints->since_redo_file_seconds = optional_real(files.at(0, "redo_file_written"));
    });
}

} // namespace opsrunbook::pg
