// WAL archiving: without it there is no point-in-time recovery, and with it stuck pg_wal fills the disk.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

// The archiver, when there is something to judge.
const observed::Archiver *archiver_of(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "archiver"))
        return nullptr;
    if (!seen.server.archiver) {
        judge.unknown("the archiver's counters could not be read");
        return nullptr;
    }
    if (!seen.server.archiver->on) {
        const auto mode = seen.server.settings.find("archive_mode");
        judge.fine(mode == seen.server.settings.end() || mode->second.value == "off"
                       ? "archive_mode is off: there is no point-in-time recovery"
                       : "a standby does not archive with archive_mode = on");
        return nullptr;
    }
    return &*seen.server.archiver;
}

// Whether the newest thing that the archiver did was to fail.
bool failing(const observed::Archiver &archiver)
{
    return archiver.since_last_failed &&
           (!archiver.since_last_archived || *archiver.since_last_failed < *archiver.since_last_archived);
}

// How long the oldest finished segment waits.  Where the directory cannot be read, since when nothing was
// archived although the archiver tries.
std::optional<double> waiting_seconds(const observed::Archiver &archiver)
{
    if (archiver.ready_files)
        return *archiver.ready_files == 0 ? 0 : archiver.oldest_ready_seconds.value_or(0);
    if (failing(archiver) && archiver.since_last_archived)
        return archiver.since_last_archived;
    return std::nullopt;
}

void describe(Finding &finding, const observed::Archiver &archiver)
{
    finding.evidence.add("archived", archiver.archived)
        .add("failed", archiver.failed)
        .add("last_failed_segment", archiver.last_failed_segment)
        .add("ready_files", archiver.ready_files)
        .add("oldest_ready_seconds", archiver.oldest_ready_seconds);
    finding.cause = "WAL is not archived -> it stays in pg_wal until the disk is full, and point-in-time "
                    "recovery ends at the last archived segment";
}

void archiving(const Observations &seen, Judge &judge)
{
    const observed::Archiver *const archiver = archiver_of(seen, judge);
    if (!archiver)
        return;
    if (archiver->command_or_library.empty()) {
        Finding &finding =
            judge.found(Status::critical, "",
                        "archive_mode is on but archive_command and archive_library are empty: "
                        "WAL piles up in pg_wal");
        describe(finding, *archiver);
        finding.fix = "-- ALTER SYSTEM SET archive_command = 'test ! -f /ARCHIVE/%f && cp %p /ARCHIVE/%f'; "
                      "SELECT pg_reload_conf(); with the archive's own directory";
        return;
    }
    const std::string tried = archiver->last_failed_segment.empty()
                                  ? ""
                                  : format(", last at segment %s", archiver->last_failed_segment.c_str());
    const std::string fix = "-- the server log shows what archive_command said; once it works, the archiver "
                            "goes on by itself within a minute (at once: SELECT pg_switch_wal();)";
    const std::optional<double> waiting = waiting_seconds(*archiver);
    const bool never = archiver->archived == 0 && archiver->failed > 0;
    if (waiting) {
        const std::string state = failing(*archiver) ? format("archiving fails%s", tried.c_str())
                                                     : std::string("archiving does not keep up");
        if (Finding *finding =
                judge.measure(*waiting, "",
                              format("%s: the oldest segment waits for %s%s", state.c_str(),
                                     base::duration_text(*waiting).c_str(),
                                     archiver->archived == 0 ? ", and nothing was ever archived" : ""))) {
            describe(*finding, *archiver);
            finding->fix = fix;
            return;
        }
    }
    if (never && failing(*archiver)) { // no success to wait for: it is set up wrongly
        Finding &finding =
            judge.found(Status::warning, "",
                        format("nothing was ever archived: %s%s",
                               base::plural(archiver->failed, "failure").c_str(), tried.c_str()));
        describe(finding, *archiver);
        finding.fix = fix;
        return;
    }
    if (!waiting)
        return judge.unknown("which segments wait for the archiver could not be read: it takes EXECUTE on "
                             "pg_ls_archive_statusdir(), which pg_monitor has");
    judge.fine(format("%s archived, %s waiting", base::plural(archiver->archived, "segment").c_str(),
                      base::count_text(archiver->ready_files.value_or(0)).c_str()));
}

void archive_backlog(const Observations &seen, Judge &judge)
{
    const observed::Archiver *const archiver = archiver_of(seen, judge);
    if (!archiver || unseen(seen, judge, "archive status directory"))
        return;
    if (!archiver->ready_files)
        return judge.unknown("which segments wait for the archiver could not be read");
    if (Finding *finding =
            judge.measure(static_cast<double>(*archiver->ready_files), "",
                          format("%s of WAL for the archiver, the oldest for %s",
                                 *archiver->ready_files == 1
                                     ? "1 segment waits"
                                     : (base::count_text(*archiver->ready_files) + " segments wait").c_str(),
                                 base::duration_text(archiver->oldest_ready_seconds.value_or(0)).c_str()))) {
        describe(*finding, *archiver);
        finding->fix =
            failing(*archiver)
                ? "SELECT * FROM opsrunbook.findings(ARRAY['archiving']);"
                : "-- archive_command takes longer than a segment takes to fill: make it faster, or "
                  "use an archive_library that works in parallel";
    }
    judge.fine(
        format("%s waiting for the archiver", base::plural(*archiver->ready_files, "segment").c_str()));
}

constexpr Check checks[] = {
    {
        .id = "archiving",
        .title = "WAL archiving",
        .category = Category::wal,
        .points = 60,
        .metric = "archive_wait_seconds",
        .unit = "s",
        .warning = 300,
        .critical = 1800,
        .explanation =
            "With archive_mode on: whether archiving goes anywhere, whether its newest attempt failed, and "
            "how long the oldest finished segment has been waiting. An archiver that failed and never "
            "succeeded is reported at once.",
        .source = "pg_stat_archiver; the oldest .ready file of pg_ls_archive_statusdir()",
        .evaluate = archiving,
    },
    {
        .id = "archive_backlog",
        .title = "WAL segments that wait for the archiver",
        .category = Category::wal,
        .points = 30,
        .metric = "archive_ready_files",
        .unit = "files",
        .warning = 10,
        .critical = 20,
        .explanation = "Finished WAL segments that are not archived yet.",
        .source = ".ready files of pg_ls_archive_statusdir()",
        .evaluate = archive_backlog,
    },
};

} // namespace

std::span<const Check> archiving_checks()
{
    return checks;
}

} // namespace opsrunbook::health
