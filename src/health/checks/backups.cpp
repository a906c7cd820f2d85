// Base backups, as far as the server itself knows of them.
#include "health/checks/checks.hpp"

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

constexpr double hour = 3600; // seconds

void base_backup_age(const Observations &seen, Judge &judge)
{
    if (seen.server.in_recovery)
        return judge.not_applicable("a standby does not know of its primary's base backups");
    if (unseen(seen, judge, "archiver") || unseen(seen, judge, "base backups"))
        return;
    if (!seen.server.base_backups)
        return judge.not_applicable("archive_mode is off: the server keeps no trace of base backups");
    const observed::BaseBackups &backups = *seen.server.base_backups;
    const bool none = !backups.since_last_seconds;
    const double age = backups.since_last_seconds.value_or(backups.cluster_age_seconds);
    const std::string age_text = base::duration_text(age);
    const std::string message =
        none ? format("no base backup is on record, and this cluster is %s old: archived WAL without the "
                      "base backup that it continues restores nothing",
                      age_text.c_str())
             : format("the last base backup ended %s ago: a recovery would replay all WAL since then",
                      age_text.c_str());
    if (Finding *finding = judge.measure(age / hour, "", message)) {
        finding->evidence.add("hours_since_last", none ? std::nullopt : std::optional(age / hour))
            .add("cluster_age_hours", backups.cluster_age_seconds / hour);
        finding->cause = none
                             ? "no base backup -> the WAL archive cannot be used -> no point-in-time recovery"
                             : "an old base backup -> more WAL to replay -> recovery takes longer";
        finding->fix = "-- take a base backup with the tool that keeps your archive, such as pgbackrest "
                       "backup, or: pg_basebackup -D DIRECTORY --checkpoint=fast";
        if (none) // one taken on a standby, or a snapshot of the storage, leaves no trace here
            finding->status = Status::warning;
        return;
    }
    judge.fine(none ? format("no base backup yet, of a cluster of %s", age_text.c_str())
                    : format("the last base backup ended %s ago", age_text.c_str()));
}

constexpr Check checks[] = {
    {
        .id = "base_backup_age",
        .title = "age of the last base backup",
        .category = Category::backup,
        .points = 60,
        .metric = "last_backup_age_hours",
        .unit = "h",
        .warning = 26,
        .critical = 48,
        .explanation =
            "With WAL archiving on: when the newest base backup ended, full or incremental, by any tool that "
            "uses pg_backup_start(). Where none is on record, the age of the cluster, a warning at most: a "
            "base backup taken on a standby and a snapshot of the storage leave no trace on the primary.",
        .source = "the newest backup history file of pg_ls_waldir(), kept until the next backup; the time of "
                  "initdb in pg_control_system().system_identifier",
        .evaluate = base_backup_age,
    },
};

} // namespace

std::span<const Check> backup_checks()
{
    return checks;
}

} // namespace opsrunbook::health
