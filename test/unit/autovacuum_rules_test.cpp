// When a table is due for VACUUM or ANALYZE, by the rules of autovacuum.c.
#include <gtest/gtest.h>

#include "maintenance/autovacuum_rules.hpp"

namespace {

using namespace opsrunbook;
using maintenance::AutovacuumSettings;
using maintenance::needs_of;
using maintenance::TableNeeds;
using observed::VacuumOptions;

observed::Table table_of(float rows)
{
    observed::Table table = {};
    table.relation.kind = 'r';
    table.relation.rows = rows;
    table.relation.options = -1;
    table.relation.xid_age = 1000;
    table.relation.mxid_age = 1000;
    table.counters.last_analyze = {1};
    return table;
}

TableNeeds needs(const observed::Table &table, const VacuumOptions &options = {},
                 const AutovacuumSettings &settings = {})
{
    return needs_of(table, &options, settings);
}

TEST(AutovacuumRules, DeadRowsMustExceedTheTrigger)
{
    struct Case {
        float rows;
        int64_t dead;
        bool due;
    };
    for (const Case &c : {Case{0, 50, false},
                          {0, 51, true},
                          {1000, 250, false},
                          {1000, 251, true},
                          {-1, 50, false},
                          {-1, 51, true},
                          {1e6, 200050, false},
                          {1e6, 200051, true}}) {
        observed::Table table = table_of(c.rows);
        table.counters.dead_rows = c.dead;
        EXPECT_EQ(needs(table).vacuum_dead, c.due) << c.rows << " " << c.dead;
        EXPECT_EQ(needs(table).vacuum(), c.due);
    }
}

TEST(AutovacuumRules, StorageParametersComeBeforeSettings)
{
    observed::Table table = table_of(1000);
    table.counters.dead_rows = 100;
    table.counters.modified_since_analyze = 100;
    VacuumOptions options;
    EXPECT_FALSE(needs(table, options).vacuum_dead);
    options.vacuum_scale_factor = 0.0;
    EXPECT_EQ(needs(table, options).vacuum_trigger, 50);
    EXPECT_TRUE(needs(table, options).vacuum_dead);
    options.vacuum_threshold = 100;
    EXPECT_FALSE(needs(table, options).vacuum_dead);
    EXPECT_FALSE(needs(table, options).analyze);
    options.analyze_scale_factor = 0.01;
    EXPECT_EQ(needs(table, options).analyze_trigger, 60);
    EXPECT_TRUE(needs(table, options).analyze);
}

TEST(AutovacuumRules, TheCapOf18)
{
    observed::Table table = table_of(1e9f);
    AutovacuumSettings settings;
    EXPECT_NEAR(needs(table, {}, settings).vacuum_trigger, 2e8 + 50, 1);
    settings.vacuum_max_threshold = 100e6;
    EXPECT_EQ(needs(table, {}, settings).vacuum_trigger, 100e6);
    VacuumOptions options;
    options.vacuum_max_threshold = 5000;
    EXPECT_EQ(needs(table, options, settings).vacuum_trigger, 5000);
    options.vacuum_max_threshold = -1; // no cap for this table
    EXPECT_NEAR(needs(table, options, settings).vacuum_trigger, 2e8 + 50, 1);
    EXPECT_EQ(needs(table_of(10), {}, settings).vacuum_trigger, 52); // a cap is no floor
}

TEST(AutovacuumRules, Inserts)
{
    observed::Table table = table_of(10000);
    table.counters.inserted_since_vacuum = 3000;
    EXPECT_FALSE(needs(table).vacuum_inserts);
    table.counters.inserted_since_vacuum = 3001;
    EXPECT_TRUE(needs(table).vacuum_inserts);
    VacuumOptions off;
    off.insert_threshold = -1;
    EXPECT_LT(needs(table, off).insert_trigger, 0);
    EXPECT_FALSE(needs(table, off).vacuum_inserts);
    AutovacuumSettings server_off;
    server_off.insert_threshold = -1;
    EXPECT_FALSE(needs(table, {}, server_off).vacuum_inserts);
    VacuumOptions on; // the table's own value counts although the server's is off
    on.insert_threshold = 1000;
    EXPECT_TRUE(needs(table, on, server_off).vacuum_inserts);
}

TEST(AutovacuumRules, InsertsOf18CountPagesThatAreNotFrozen)
{
    observed::Table table = table_of(10000);
    table.relation.pages = 100;
    table.relation.all_visible_pages = 75; // visible is not frozen: VACUUM still has work there
    EXPECT_EQ(needs(table).insert_trigger, 3000);
    table.relation.all_frozen_pages = 50;
    EXPECT_EQ(needs(table).insert_trigger, 2000);
    table.counters.inserted_since_vacuum = 2000;
    EXPECT_FALSE(needs(table).vacuum_inserts);
    table.counters.inserted_since_vacuum = 2001;
    EXPECT_TRUE(needs(table).vacuum_inserts);
    table.relation.all_frozen_pages = 200; // pg_class may be out of step with itself
    EXPECT_EQ(needs(table).insert_trigger, 1000);
    table.relation.pages = 0;
    EXPECT_EQ(needs(table).insert_trigger, 3000);
}

TEST(AutovacuumRules, Freezing)
{
    observed::Table table = table_of(1);
    table.relation.xid_age = 200000000;
    EXPECT_FALSE(needs(table).vacuum_freeze);
    table.relation.xid_age = 200000001;
    EXPECT_TRUE(needs(table).vacuum_freeze);
    VacuumOptions options;
    options.freeze_max_age = 1000000000; // a table may only ask for less than the server
    EXPECT_TRUE(needs(table, options).vacuum_freeze);
    table.relation.xid_age = 100000;
    options.freeze_max_age = 99999;
    EXPECT_TRUE(needs(table, options).vacuum_freeze);
    table.relation.xid_age = observed::Relation::no_age;
    table.relation.mxid_age = 400000001;
    EXPECT_TRUE(needs(table).vacuum_freeze);
    table.relation.mxid_age = observed::Relation::no_age;
    EXPECT_FALSE(needs(table, options).vacuum_freeze);
}

TEST(AutovacuumRules, SwitchedOff)
{
    observed::Table table = table_of(1000);
    table.counters.dead_rows = 1000;
    VacuumOptions off;
    off.enabled = false;
    EXPECT_FALSE(needs(table, off).autovacuum_enabled);
    EXPECT_TRUE(needs(table, off).vacuum_dead); // due all the same: somebody else must do it
    AutovacuumSettings server_off;
    server_off.enabled = false;
    EXPECT_FALSE(needs(table, {}, server_off).autovacuum_enabled);
    EXPECT_TRUE(needs(table).autovacuum_enabled);
}

TEST(AutovacuumRules, NeverAnalyzed)
{
    observed::Table table = table_of(-1);
    table.counters.last_analyze = {};
    EXPECT_FALSE(needs(table).never_analyzed); // empty: nothing to know
    table.counters.live_rows = 50;
    EXPECT_FALSE(needs(table).never_analyzed); // autovacuum would leave so few alone too
    table.counters.live_rows = 51;
    EXPECT_TRUE(needs(table).never_analyzed);
    EXPECT_TRUE(needs(table).anything());
    table.counters.last_autoanalyze = {1};
    EXPECT_FALSE(needs(table).never_analyzed);
}

// A TOAST table has no statistics to be stale, and takes its owner's parameters when it has none.
TEST(AutovacuumRules, ToastTables)
{
    observed::Relations relations;
    observed::Table owner = table_of(10), toast = table_of(1000);
    owner.relation.oid = 10;
    owner.relation.toast = 11;
    owner.relation.options = 0;
    toast.relation.oid = 11;
    toast.relation.toast = 0;
    toast.relation.kind = 't';
    toast.counters.dead_rows = 200;
    toast.counters.modified_since_analyze = 100000;
    toast.counters.last_analyze = {};
    relations.tables = {owner, toast};
    relations.link_table(0);
    relations.link_table(1);
    VacuumOptions owners, toasts;
    owners.vacuum_scale_factor = 0.1;
    toasts.vacuum_scale_factor = 0.5;
    relations.options = {owners, toasts};

    const TableNeeds inherited = needs_of(relations.tables[1], relations, {});
    EXPECT_EQ(inherited.vacuum_trigger, 150);
    EXPECT_TRUE(inherited.vacuum_dead);
    EXPECT_FALSE(inherited.analyze);
    EXPECT_FALSE(inherited.never_analyzed);
    relations.tables[1].relation.options = 1;
    EXPECT_EQ(needs_of(relations.tables[1], relations, {}).vacuum_trigger, 550);
    relations.tables[1].relation.options = -1;
    relations.tables[0].relation.options = -1;
    EXPECT_EQ(needs_of(relations.tables[1], relations, {}).vacuum_trigger, 250);
}

TEST(AutovacuumRules, SettingsOfTheServer)
{
    observed::Server server;
    server.version = 150000;
    const AutovacuumSettings defaults = maintenance::autovacuum_settings(server);
    EXPECT_TRUE(defaults.enabled);
    EXPECT_EQ(defaults.vacuum_max_threshold, -1);

    server.version = 180000;
    server.settings["autovacuum_vacuum_threshold"].value = "7";
    server.settings["autovacuum_vacuum_scale_factor"].value = "0.01";
    server.settings["autovacuum_vacuum_max_threshold"].value = "1000";
    server.settings["autovacuum_naptime"].value = "15";
    const AutovacuumSettings own = maintenance::autovacuum_settings(server);
    EXPECT_EQ(own.vacuum_threshold, 7);
    EXPECT_EQ(own.vacuum_scale_factor, 0.01);
    EXPECT_EQ(own.vacuum_max_threshold, 1000);
    EXPECT_EQ(own.naptime_seconds, 15);

    server.settings["track_counts"].value = "off"; // autovacuum is blind then
    EXPECT_FALSE(maintenance::autovacuum_settings(server).enabled);
}

} // namespace
