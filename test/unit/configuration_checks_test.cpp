#include "checks_fixture.hpp"

#include "health/checks/setting_change.hpp"
#include "health/checks/versions.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook;
using namespace opsrunbook::test;

namespace {

TEST(DangerousSettings, EachOne)
{
    EXPECT_EQ(status("dangerous_settings", healthy()), Status::ok);
    for (const auto &[name, bad, expected] : std::vector<std::tuple<const char *, const char *, Status>>{
             {"fsync", "off", Status::critical},
             {"full_page_writes", "off", Status::critical},
             {"zero_damaged_pages", "on", Status::critical},
             {"ignore_checksum_failure", "on", Status::critical},
             {"ignore_invalid_pages", "on", Status::critical},
             {"ignore_system_indexes", "on", Status::critical},
             {"data_sync_retry", "on", Status::warning},
             {"allow_system_table_mods", "on", Status::warning},
             {"password_encryption", "md5", Status::warning},
         }) {
        Observations seen = healthy();
        set(seen, name, bad);
        EXPECT_EQ(status("dangerous_settings", seen), expected) << name;
        seen.server.settings[name].source = "session"; // mine alone
        EXPECT_EQ(status("dangerous_settings", seen), Status::ok) << name;
    }
}

TEST(DangerousSettings, FixAndUndoWhereItIsSet)
{
    struct Case {
        const char *source, *fix, *undo;
    };
    for (const Case &expected : {
             Case{"configuration file", "ALTER SYSTEM SET fsync = 'on'; SELECT pg_reload_conf();",
                  "ALTER SYSTEM SET fsync = 'off'; SELECT pg_reload_conf();"},
             Case{"default", "ALTER SYSTEM SET fsync = 'on'; SELECT pg_reload_conf();",
                  "ALTER SYSTEM RESET fsync; SELECT pg_reload_conf();"},
             Case{"database", "ALTER DATABASE app SET fsync = 'on';",
                  "ALTER DATABASE app SET fsync = 'off';"},
             Case{"user", "ALTER ROLE ops SET fsync = 'on';", "ALTER ROLE ops SET fsync = 'off';"},
             Case{"database user", "ALTER ROLE ops IN DATABASE app SET fsync = 'on';",
                  "ALTER ROLE ops IN DATABASE app SET fsync = 'off';"},
         }) {
        Observations seen = healthy();
        set(seen, "fsync", "off", expected.source);
        const Finding finding = worst("dangerous_settings", seen);
        EXPECT_EQ(finding.fix, expected.fix);
        EXPECT_EQ(finding.undo, expected.undo);
    }
    Observations seen = healthy();
    set(seen, "fsync", "off", "command line");
    EXPECT_EQ(worst("dangerous_settings", seen).fix.substr(0, 2), "--");
}

TEST(PendingRestart, NamesThem)
{
    Observations seen = healthy();
    EXPECT_EQ(status("pending_restart", seen), Status::ok);
    seen.server.settings["shared_buffers"].pending_restart = true;
    EXPECT_NE(worst("pending_restart", seen).message.find("shared_buffers"), std::string::npos);
}

TEST(Files, Errors)
{
    Observations seen = healthy();
    for (const char *id : {"configuration_file_errors", "hba_errors"})
        EXPECT_EQ(status(id, seen), Status::ok) << id;
    seen.server.setting_file_errors = {"postgresql.conf line 3: work_mem: setting could not be applied"};
    seen.server.hba_file_errors = {"line 9: invalid authentication method \"md6\""};
    for (const char *id : {"configuration_file_errors", "hba_errors"})
        EXPECT_EQ(status(id, seen), Status::critical) << id;
}

TEST(Files, MissingPrivilegeIsNamed)
{
    Observations seen = healthy();
    seen.server.unseen["configuration files"] = "permission denied for view pg_file_settings";
    const Finding finding = worst("configuration_file_errors", seen);
    EXPECT_EQ(finding.status, Status::unknown);
    EXPECT_NE(finding.fix.find("GRANT SELECT ON pg_catalog.pg_file_settings TO ops"), std::string::npos);
}

TEST(Memory, Commitment)
{
    Observations seen = healthy(); // 128 MB + 100 * 4 MB of 16 GB
    EXPECT_EQ(status("memory_settings", seen), Status::ok);
    seen.server.memory_bytes = int64_t{1} << 30;
    EXPECT_EQ(status("memory_settings", seen), Status::ok);
    set(seen, "work_mem", "16384", "configuration file", "user");
    EXPECT_EQ(status("memory_settings", seen), Status::warning);
    EXPECT_NE(worst("memory_settings", seen).fix.find("work_mem"), std::string::npos);
    set(seen, "work_mem", "65536");
    EXPECT_EQ(status("memory_settings", seen), Status::critical);
    // clears with the work_mem that its fix proposes
    const std::string fix = worst("memory_settings", seen).fix;
    const size_t quote = fix.find('\'');
    ASSERT_NE(quote, std::string::npos) << fix;
    set(seen, "work_mem", std::to_string(std::stoll(fix.substr(quote + 1))));
    EXPECT_EQ(status("memory_settings", seen), Status::ok) << fix;
    seen.server.memory_bytes.reset();
    EXPECT_EQ(status("memory_settings", seen), Status::unknown);
}

TEST(Memory, SharedBuffersNeverTuned)
{
    Observations seen = healthy();
    seen.server.settings["shared_buffers"].context = "postmaster";
    seen.server.database_bytes = int64_t{2} << 30; // 16 times
    EXPECT_EQ(status("shared_buffers", seen), Status::ok);
    seen.server.database_bytes = int64_t{8} << 30;
    const Finding finding = worst("shared_buffers", seen);
    EXPECT_EQ(finding.status, Status::warning);
    EXPECT_EQ(finding.fix, "ALTER SYSTEM SET shared_buffers = '4096MB'; -- and restart the server");
    seen.server.memory_bytes = int64_t{2} << 30; // a small machine
    EXPECT_EQ(status("shared_buffers", seen), Status::ok);
    seen.server.memory_bytes = int64_t{16} << 30;
    set(seen, "shared_buffers", "32768");
    EXPECT_EQ(status("shared_buffers", seen), Status::ok);
}

TEST(PlannerSwitches, ServerWideOnly)
{
    Observations seen = healthy(); // enable_partitionwise_join is off by default
    EXPECT_EQ(status("planner_switches", seen), Status::ok);
    set(seen, "enable_seqscan", "off", "session");
    EXPECT_EQ(status("planner_switches", seen), Status::ok);
    set(seen, "enable_seqscan", "off", "database");
    EXPECT_EQ(worst("planner_switches", seen).fix, "ALTER DATABASE app SET enable_seqscan = 'on';");
}

TEST(ExtensionUpdates, OlderOrGone)
{
    Observations seen = healthy();
    seen.server.extensions = {
        {"plpgsql", "1.0", "1.0"}, {"newer", "1.10", "1.9"}, {"odd", "unpackaged", "1.0"}};
    EXPECT_EQ(status("extension_updates", seen), Status::ok);
    seen.server.extensions = {{"pg-x", "1.9", "1.10"}};
    EXPECT_EQ(worst("extension_updates", seen).fix, "ALTER EXTENSION \"pg-x\" UPDATE;");
    seen.server.extensions = {{"gone", "1.0", ""}};
    EXPECT_EQ(status("extension_updates", seen), Status::warning);
}

TEST(Versions, ByNumber)
{
    struct Case {
        const char *installed, *available;
        bool older;
    };
    for (const Case &c : {Case{"1.9", "1.10", true}, Case{"1.10", "1.9", false}, Case{"1.0", "1.0", false},
                          Case{"1", "1.0.1", true}, Case{"1.0", "1", false}, Case{"2.0dev", "2.0", false},
                          Case{"", "1", true}, Case{"99999999999999999999", "1", false}})
        EXPECT_EQ(health::older_version(c.installed, c.available), c.older)
            << c.installed << " " << c.available;
}

} // namespace
