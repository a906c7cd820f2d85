// How near the databases are to wraparound, and who holds VACUUM back.
#include <functional>
#include <tuple>

#include <gtest/gtest.h>

#include "checks_fixture.hpp"
#include "observed/horizon.hpp"

namespace {

using namespace opsrunbook;
using namespace opsrunbook::test;

constexpr int64_t distance = int64_t{1} << 31;
constexpr int64_t million = 1000000;

struct Counter {
    const char *check;
    int64_t observed::Database::*age;
    int64_t freeze_max_age; // the server's default
};
constexpr int64_t failsafe_age = 1600 * million; // of both
constexpr Counter counters[] = {
    {"xid_age", &observed::Database::xid_age, 200 * million},
    {"mxid_age", &observed::Database::mxid_age, 400 * million},
};

TEST(Wraparound, EdgesOfBothCounters)
{
    for (const Counter &counter : counters) {
        Observations seen = healthy();
        const auto at = [&](int64_t ids) {
            seen.server.databases[0].*counter.age = ids;
            return status(counter.check, seen);
        };
        EXPECT_EQ(at(counter.freeze_max_age * 9 / 10), Status::ok) << counter.check;
        EXPECT_EQ(at(counter.freeze_max_age), Status::ok) << counter.check;
        EXPECT_EQ(at(distance / 2), Status::ok) << counter.check;
        EXPECT_EQ(at(distance / 2 + 1), Status::warning) << counter.check;
        EXPECT_EQ(at(distance / 4 * 3), Status::warning) << counter.check;
        EXPECT_EQ(at(distance / 4 * 3 + 1), Status::critical) << counter.check;
        EXPECT_EQ(at(failsafe_age - 1), Status::warning) << counter.check;
        EXPECT_FALSE(worst(counter.check, seen).lethal) << counter.check; // autovacuum may still catch up
        EXPECT_EQ(at(failsafe_age), Status::warning) << counter.check;
        EXPECT_TRUE(worst(counter.check, seen).lethal) << counter.check;
        seen.server.databases[0].*counter.age = 0;
        EXPECT_EQ(status(counter.check, seen), Status::ok);
    }
}

TEST(Wraparound, EachCounterForItself)
{
    Observations seen = healthy();
    seen.server.databases[0].xid_age = distance - 1;
    EXPECT_EQ(status("xid_age", seen), Status::critical);
    EXPECT_EQ(status("mxid_age", seen), Status::ok);
}

// The server stops for the oldest database of all, connections or not.
TEST(Wraparound, DatabasesThatNobodyMayConnectToCount)
{
    for (const Counter &counter : counters) {
        Observations seen = healthy();
        observed::Database closed;
        closed.name = "template0";
        closed.allows_connections = false;
        closed.*counter.age = distance / 2 + 1;
        seen.server.databases.push_back(closed);
        const Finding finding = worst(counter.check, seen);
        EXPECT_EQ(finding.object, "template0");
        EXPECT_EQ(finding.status, Status::warning);
        EXPECT_EQ(finding.fix,
                  "-- ALTER DATABASE template0 ALLOW_CONNECTIONS true; connect to it and run: VACUUM "
                  "(FREEZE, SKIP_LOCKED); then ALTER DATABASE template0 ALLOW_CONNECTIONS false;");
        seen.server.databases.back().allows_connections = true;
        EXPECT_EQ(worst(counter.check, seen).fix,
                  "-- connect to database template0 and run: VACUUM (FREEZE, SKIP_LOCKED);");
    }
}

TEST(Wraparound, TheFixIsForTheOldestTable)
{
    Observations seen = healthy();
    seen.relations.schemas = {{2200, 10, "public", false, false}};
    for (const auto &[oid, name, age] :
         {std::tuple<observed::Oid, const char *, int32_t>{20000, "young", 10}, {20001, "Old", 1200000000}}) {
        observed::Table table{};
        table.relation.oid = oid;
        table.relation.schema = 2200;
        table.relation.kind = 'r';
        table.relation.name = name;
        table.relation.xid_age = age;
        seen.relations.tables.push_back(table);
        seen.relations.link_table(seen.relations.tables.size() - 1);
    }
    seen.server.databases[0].xid_age = 1200 * million;
    EXPECT_EQ(worst("xid_age", seen).fix, "VACUUM (FREEZE) public.\"Old\";");
    EXPECT_EQ(worst("xid_age", seen).cause, "");
    seen.server.horizon = {{"replication slot", "s", 1100 * million, 0}};
    EXPECT_NE(worst("xid_age", seen).cause.find("replication slot s"), std::string::npos);
}

TEST(Wraparound, UnreadableIsUnknown)
{
    Observations seen = healthy();
    seen.server.databases.clear();
    seen.server.unseen["databases"] = "not allowed";
    EXPECT_EQ(status("xid_age", seen), Status::unknown);
    EXPECT_EQ(status("mxid_age", seen), Status::unknown);
}

Observations holding(const std::function<void(observed::Server &)> &hold)
{
    Observations seen = healthy();
    hold(seen.server);
    seen.server.horizon = observed::horizon_of(seen.server);
    return seen;
}

observed::Session session(const char *kind)
{
    observed::Session session;
    session.pid = 42;
    session.user = "app";
    session.kind = kind;
    return session;
}

TEST(XminHorizon, EachKindOfHolder)
{
    using observed::Server;
    struct Case {
        const char *object;
        void (*hold)(Server &, int64_t age);
        const char *fix;
    };
    const Case cases[] = {
        {"session pid 42 (app)",
         [](Server &server, int64_t age) {
             server.sessions.push_back(session("client backend"));
             server.sessions.back().xmin_age = age;
         },
         "SELECT pg_terminate_backend(42);"},
        {"session pid 42 (app)", // wrote, and holds no snapshot
         [](Server &server, int64_t age) {
             server.sessions.push_back(session("client backend"));
             server.sessions.back().xid_age = age;
         },
         "SELECT pg_terminate_backend(42);"},
        {"prepared transaction it's",
         [](Server &server, int64_t age) {
             server.prepared = {{"it's", "app", "app", 60, age}};
         },
         "ROLLBACK PREPARED 'it''s';"},
        {"prepared transaction t",
         [](Server &server, int64_t age) {
             server.prepared = {{"t", "app", "other", 60, age}};
         },
         "-- connect to database other and run: ROLLBACK PREPARED 't';"},
        {"replication slot s",
         [](Server &server, int64_t age) {
             server.slots.emplace_back().name = "s";
             server.slots.back().xmin_age = age;
         },
         "SELECT pg_drop_replication_slot('s');"},
        {"replication slot (catalog) s",
         [](Server &server, int64_t age) {
             server.slots.emplace_back().name = "s";
             server.slots.back().catalog_xmin_age = age;
         },
         "SELECT pg_drop_replication_slot('s');"},
        {"replication slot (catalog) s", // one that is read cannot be dropped
         [](Server &server, int64_t age) {
             server.slots.emplace_back().name = "s";
             server.slots.back().catalog_xmin_age = age;
             server.slots.back().active = true;
         },
         "-- find out why its reader lags: SELECT * FROM pg_stat_replication;"},
        {"standby replica",
         [](Server &server, int64_t age) {
             server.standbys.emplace_back().name = "replica";
             server.standbys.back().xmin_age = age;
         },
         "-- end the long query on the standby, or set hot_standby_feedback = off there"},
    };
    for (const Case &one : cases) {
        const auto aged = [&one](int64_t age) {
            return holding([&](Server &server) { one.hold(server, age); });
        };
        EXPECT_EQ(status("xmin_horizon", aged(10 * million)), Status::ok) << one.object;
        EXPECT_EQ(status("xmin_horizon", aged(100 * million)), Status::warning) << one.object;
        const Finding finding = worst("xmin_horizon", aged(100 * million + 1));
        EXPECT_EQ(finding.status, Status::critical) << one.object;
        EXPECT_EQ(finding.object, one.object);
        EXPECT_EQ(finding.fix, one.fix);
    }
}

TEST(XminHorizon, NotThoseThatEndByThemselves)
{
    for (const char *kind : {"autovacuum worker", "walsender"}) {
        const Observations seen = holding([kind](observed::Server &server) {
            server.sessions.push_back(session(kind));
            server.sessions.back().xmin_age = 200 * million;
        });
        EXPECT_EQ(status("xmin_horizon", seen), Status::ok) << kind;
    }
    const Observations own = holding([](observed::Server &server) {
        server.sessions.push_back(session("opsrunbook runner"));
        server.sessions.back().xmin_age = 200 * million;
        server.sessions.back().ours = true;
    });
    EXPECT_EQ(status("xmin_horizon", own), Status::ok);
}

TEST(XminHorizon, TheOldestFirst)
{
    const Observations seen = holding([](observed::Server &server) {
        server.sessions.push_back(session("client backend"));
        server.sessions.back().xmin_age = 20 * million;
        server.prepared = {{"t", "app", "app", 60, 30 * million}};
    });
    EXPECT_EQ(seen.server.horizon.front().kind, "prepared transaction");
    EXPECT_EQ(run("xmin_horizon", seen).findings.size(), 2u);
}

} // namespace
