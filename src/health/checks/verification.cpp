// What reading the data through has shown, and whether somebody still does.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

constexpr double day = 86400; // seconds

std::string verify(const std::string &table)
{
    return format("SELECT * FROM opsrunbook.verify_table(%s);", base::quote_literal(table).c_str());
}

void verification_failed(const Observations &seen, Judge &judge)
{
    const observed::Verification &verification = seen.verification;
    if (verification.tables == 0)
        return judge.not_applicable("no table was ever verified with opsrunbook.verify_table()");
    for (const observed::DamagedTable &table : verification.damaged) {
        Finding &finding = judge.found(Status::critical, table.name,
                                       format("%s of %s: %s", table.heap ? "damage" : "damaged indexes",
                                              table.name.c_str(), base::one_line(table.damage, 500).c_str()));
        finding.lethal = true;
        finding.since = table.found_at;
        finding.cause =
            table.heap ? "storage or memory returned other bytes than were written -> rows are lost or wrong"
                       : "an index that is out of order or lacks rows -> queries miss rows, "
                         "duplicates get in";
        finding.fix =
            table.heap
                ? "-- stop writing to this storage, and restore the table from a backup or fail over "
                  "to a standby; afterwards: " +
                      verify(table.name)
                : format("REINDEX TABLE CONCURRENTLY %s; %s", table.name.c_str(), verify(table.name).c_str());
    }
    judge.fine(
        format("%s verified, and none is damaged", base::plural(verification.tables, "table").c_str()));
}

void amcheck_age(const Observations &seen, Judge &judge)
{
    const observed::Verification &verification = seen.verification;
    if (seen.jobs.verifying.empty() && !verification.oldest_days)
        return judge.not_applicable(
            "nothing verifies this database that leaves a trace here; pg_amcheck does not");
    const char *const cause =
        "corruption that nobody looks for is found by the application, when the backups "
        "that are free of it are gone";
    for (const observed::VerifyingJob &job : seen.jobs.verifying) {
        const std::string age = base::duration_text(job.days_since * day);
        Finding *const finding = judge.measure(
            job.days_since, job.name,
            job.completed
                ? format("job \"%s\" last verified its tables and indexes %s ago", job.name.c_str(),
                         age.c_str())
                : format("job \"%s\", scheduled %s ago, has not verified its tables and indexes yet",
                         job.name.c_str(), age.c_str()));
        if (!finding)
            continue;
        finding->evidence.add("completed", job.completed).add("days_since", job.days_since);
        finding->cause = cause;
        finding->fix = format("SELECT opsrunbook.run_job_now(%s);", base::quote_literal(job.name).c_str());
    }
    if (verification.oldest_days) {
        const std::string age = base::duration_text(*verification.oldest_days * day);
        if (Finding *const finding =
                judge.measure(*verification.oldest_days, verification.oldest,
                              format("of %s that were verified once, %s was so last %s ago",
                                     base::plural(verification.tables, "table").c_str(),
                                     verification.oldest.c_str(), age.c_str()))) {
            finding->cause = cause;
            finding->fix = verify(verification.oldest);
        }
    }
    judge.fine("what is verified is so as often as it should");
}

constexpr Check checks[] = {
    {
        .id = "verification_failed",
        .title = "damaged tables and indexes",
        .category = Category::integrity,
        .points = 100,
        .explanation = "When a table was last verified with amcheck, it or one of its btree indexes was "
                       "damaged: rows that "
                       "cannot be read, an index out of order, or one that lacks rows of its table.",
        .source = "opsrunbook.verifications: verify_heapam() and bt_index_check() with heapallindexed, by "
                  "CALL opsrunbook.run_maintenance() or opsrunbook.verify_table()",
        .evaluate = verification_failed,
    },
    {
        .id = "amcheck_age",
        .title = "verification that is overdue",
        .category = Category::integrity,
        .points = 20,
        .metric = "amcheck_age_days",
        .unit = "d",
        .warning = 14,
        .explanation = "A table that was verified once has not been for long, or a scheduled job that calls "
                       "amcheck has not "
                       "completed a run. A database that was never verified is not reported: pg_amcheck "
                       "leaves no trace.",
        .source = "opsrunbook.verifications; opsrunbook.job_run of the enabled jobs whose command calls "
                  "bt_index_check(), bt_index_parent_check(), verify_heapam() or verify_table()",
        .evaluate = amcheck_age,
    },
};

} // namespace

std::span<const Check> verification_checks()
{
    return checks;
}

} // namespace opsrunbook::health
