// VACUUMs that read the indexes again, and what they are told to do; workers that are all busy.
#include "checks_fixture.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook;
using namespace opsrunbook::test;

namespace {

constexpr int64_t megabyte = 1 << 20;

// A manual VACUUM of public.t, which has 1000 pages.
Observations vacuuming(const char *phase, int64_t passes, int64_t scanned, int64_t dead = 0)
{
    Observations seen = healthy();
    set(seen, "maintenance_work_mem", "1024", "default", "user");
    set(seen, "autovacuum_work_mem", "-1", "default");
    seen.relations.schemas.push_back({1, 1, "public", false, false});
    observed::Table table = {};
    table.relation.oid = 10;
    table.relation.schema = 1;
    table.relation.name = "t";
    table.relation.kind = 'r';
    table.relation.persistence = 'p';
    table.relation.options = -1;
    seen.relations.tables.push_back(table);
    seen.relations.link_table(0);
    seen.file_created[10] = {};
    seen.server.vacuums = {{7, 10, phase, passes, 1000, scanned, dead, megabyte}};
    return seen;
}

const char *const check = "vacuum_index_passes";

TEST(VacuumIndexPasses, OneIsUsual)
{
    EXPECT_EQ(status(check, healthy()), Status::ok);
    EXPECT_EQ(status(check, vacuuming("scanning heap", 0, 500)), Status::ok);
    EXPECT_EQ(status(check, vacuuming("vacuuming indexes", 0, 1000)), Status::ok);
    EXPECT_EQ(status(check, vacuuming("vacuuming heap", 1, 1000)), Status::ok);
    EXPECT_EQ(status(check, vacuuming("cleaning up indexes", 1, 1000)), Status::ok);
}

TEST(VacuumIndexPasses, MoreAreAFinding)
{
    EXPECT_EQ(status(check, vacuuming("scanning heap", 1, 500)), Status::warning);
    EXPECT_EQ(status(check, vacuuming("vacuuming indexes", 1, 500)), Status::warning);
    EXPECT_EQ(status(check, vacuuming("vacuuming heap", 2, 900)), Status::warning);
    const Finding finding = worst(check, vacuuming("scanning heap", 2, 600));
    EXPECT_EQ(finding.object, "public.t");
    EXPECT_EQ(finding.value, 3);
}

TEST(VacuumIndexPasses, TheFixHoldsAllDeadRows)
{
    // A megabyte and a half in half of the table: three, and a tenth more.
    Observations seen = vacuuming("scanning heap", 1, 500, megabyte / 2);
    EXPECT_EQ(worst(check, seen).fix,
              "ALTER SYSTEM SET maintenance_work_mem = '4MB'; SELECT pg_reload_conf();");
    EXPECT_EQ(worst(check, seen).undo, "ALTER SYSTEM RESET maintenance_work_mem; SELECT pg_reload_conf();");
    observed::Session worker;
    worker.pid = 7;
    worker.kind = "autovacuum worker";
    seen.server.sessions = {worker};
    EXPECT_EQ(worst(check, seen).fix,
              "ALTER SYSTEM SET autovacuum_work_mem = '4MB'; SELECT pg_reload_conf();");
    seen.server.sessions.clear();
    set(seen, "maintenance_work_mem", "65536", "default", "user");
    EXPECT_NE(worst(check, seen).fix.find("-- the session that vacuums has less"), std::string::npos);
}

TEST(VacuumIndexPasses, BeforePostgres17AGigabyteIsTheMost)
{
    Observations seen = vacuuming("scanning heap", 1, 500);
    seen.server.vacuums.front().dead_bytes_most = 900 * megabyte;
    EXPECT_NE(worst(check, seen).fix.find("'1024MB'"), std::string::npos);
    seen.server.vacuums.front().dead_bytes_most = 1024 * megabyte - 6;
    EXPECT_NE(worst(check, seen).fix.find("-- vacuum it more often"), std::string::npos);
    seen.server.version = 170002;
    EXPECT_NE(worst(check, seen).fix.find("'2253MB'"), std::string::npos) << worst(check, seen).fix;
}

TEST(VacuumOverdue, SaysWhenAllWorkersAreBusy)
{
    Observations seen = vacuuming("scanning heap", 0, 0);
    seen.server.vacuums.clear();
    seen.relations.tables.front().counters.dead_rows = 1000000;
    set(seen, "autovacuum_max_workers", "3", "default");
    seen.server.autovacuum_workers_busy = 2;
    EXPECT_EQ(worst("vacuum_overdue", seen).cause, "");
    seen.server.autovacuum_workers_busy = 3;
    const Finding finding = worst("vacuum_overdue", seen);
    EXPECT_EQ(finding.cause, "all 3 workers of autovacuum are busy -> public.t waits for one");
    EXPECT_EQ(finding.fix, "VACUUM public.t;");
    EXPECT_NE(finding.evidence.text().find("autovacuum_vacuum_cost_delay"), std::string::npos);
}

} // namespace
