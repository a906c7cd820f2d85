// Whether the data are what was written, and indexes still sort as their collations do.
#include "health/checks/checks.hpp"

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

void report_failures(Judge &judge, const std::string &object, const std::string &where, int64_t failures)
{
    if (failures <= 0)
        return;
    Finding *const finding =
        judge.measure(static_cast<double>(failures), object,
                      format("%s in %s: data on disk are damaged",
                             base::plural(failures, "page checksum failure").c_str(), where.c_str()));
    if (!finding)
        return;
    finding->lethal = finding->status == Status::critical;
    finding->evidence.add("checksum_failures", failures);
    finding->cause = "storage returned other bytes than were written -> wrong results or lost rows";
    finding->fix = "-- stop writing to this storage; the server log names the file and block; restore from a "
                   "backup (backup_recovery.health_check() shows the newest) or fail over to a standby";
}

void checksum_failures(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "databases"))
        return;
    const observed::Server &server = seen.server;
    if (!server.setting_on("data_checksums", false))
        return judge.not_applicable(
            "data checksums are off, so damage on disk goes unnoticed (with the server stopped: "
            "pg_checksums --enable)");
    for (const observed::Database &database : server.databases)
        report_failures(judge, database.name, "database " + database.name,
                        database.checksum_failures.value_or(0));
    report_failures(judge, "shared relations", "the shared catalogs",
                    server.shared_checksum_failures.value_or(0));
    judge.fine("data checksums are on, and none has failed");
}

void collation_version(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "databases"))
        return;
    const auto describe = [](Finding &finding, const std::string &recorded, const std::string &actual) {
        finding.evidence.add("recorded_version", recorded).add("actual_version", actual);
        finding.cause = "the operating system's collation library was upgraded -> text sorts otherwise -> "
                        "indexes on text are out of order -> rows are not found, duplicates get in";
    };
    for (const observed::Database &database : seen.server.databases) {
        if (!database.collation_version || !database.actual_collation_version ||
            *database.collation_version == *database.actual_collation_version)
            continue;
        const std::string name = base::quote_identifier(database.name);
        Finding &finding =
            judge.found(Status::warning, database.name,
                        format("database %s was created with collation version %s, the library has %s: "
                               "indexes on text may be out of order",
                               name.c_str(), database.collation_version->c_str(),
                               database.actual_collation_version->c_str()));
        describe(finding, *database.collation_version, *database.actual_collation_version);
        finding.fix = format("%sREINDEX DATABASE %s; ALTER DATABASE %s REFRESH COLLATION VERSION;",
                             database.current ? "" : format("-- connected to %s: ", name.c_str()).c_str(),
                             name.c_str(), name.c_str());
    }
    const observed::Database *const current = seen.server.current_database();
    // The name may be left out from PostgreSQL 16 on only.
    const std::string here = current ? " " + base::quote_identifier(current->name) : "";
    for (const observed::Collation &collation : seen.server.outdated_collations) {
        Finding &finding =
            judge.found(Status::warning, "collation " + collation.name,
                        format("indexes use collation %s of version %s, the library has %s: they may be out "
                               "of order",
                               collation.name.c_str(), collation.recorded.c_str(), collation.actual.c_str()));
        describe(finding, collation.recorded, collation.actual);
        finding.fix = format("REINDEX DATABASE%s; ALTER COLLATION %s REFRESH VERSION;", here.c_str(),
                             collation.name.c_str());
    }
    judge.fine("the collation library has the versions that databases and indexes were built with");
}

void invalid_databases(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "databases"))
        return;
    for (const observed::Database &database : seen.server.databases) {
        if (!database.invalid)
            continue;
        Finding &finding = judge.found(
            Status::warning, database.name,
            format(
                "database %s is left over from an interrupted DROP DATABASE: nobody can connect to it, and "
                "it holds back transaction ids",
                base::quote_identifier(database.name).c_str()));
        finding.evidence.add("xid_age", database.xid_age);
        finding.fix = format("DROP DATABASE %s;", base::quote_identifier(database.name).c_str());
    }
    judge.fine("no database is left over from an interrupted DROP DATABASE");
}

constexpr Check checks[] = {
    {
        .id = "checksum_failures",
        .title = "damaged pages",
        .category = Category::integrity,
        .points = 100,
        .metric = "checksum_failures",
        .unit = "pages",
        .critical = 0,
        .explanation =
            "Pages whose checksum did not match when they were read, in any database and in the shared "
            "catalogs. One is enough: the storage lies.",
        .source = "pg_stat_database.checksum_failures, datid 0 included",
        .evaluate = checksum_failures,
    },
    {
        .id = "collation_version",
        .title = "collation versions",
        .category = Category::integrity,
        .points = 60,
        .explanation = "Databases, and collations that indexes use, whose recorded version differs from the "
                       "library's: their indexes on text were built in another order.",
        .source = "pg_database.datcollversion, pg_collation.collversion against the library's version",
        .evaluate = collation_version,
    },
    {
        .id = "invalid_databases",
        .title = "half-dropped databases",
        .category = Category::integrity,
        .points = 20,
        .explanation = "An interrupted DROP DATABASE leaves a database that can only be dropped.",
        .source = "pg_database.datconnlimit = -2",
        .evaluate = invalid_databases,
    },
};

} // namespace

std::span<const Check> integrity_checks()
{
    return checks;
}

} // namespace opsrunbook::health
