#include <gtest/gtest.h>

#include "health/checks/checks.hpp"
#include "health/sessions.hpp"

using namespace opsrunbook;
using namespace opsrunbook::health;
using observed::Session;

namespace {

constexpr double minute = 60;

Session client(int pid, const char *state)
{
    Session session;
    session.pid = pid;
    session.user = "app";
    session.kind = "client backend";
    session.state = state;
    session.query = "SELECT 1";
    return session;
}

Session active(int pid, double query_seconds)
{
    Session session = client(pid, "active");
    session.query_seconds = session.transaction_seconds = query_seconds;
    return session;
}

Session idle_in_transaction(int pid, double state_seconds)
{
    Session session = client(pid, "idle in transaction");
    session.state_seconds = session.query_seconds = session.transaction_seconds = state_seconds;
    return session;
}

Observations with(std::vector<Session> sessions)
{
    Observations seen;
    seen.server.user = "watcher";
    seen.server.max_connections = 100;
    seen.server.reserved_connections = 3;
    seen.server.sessions = std::move(sessions);
    return seen;
}

Outcome judge(const Observations &seen, const char *id)
{
    return evaluate(seen, Thresholds(), {id}).at(0);
}

std::vector<Session> many(int count, const char *state)
{
    std::vector<Session> sessions;
    sessions.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i)
        sessions.push_back(client(i + 1, state));
    return sessions;
}

TEST(Connections, ShareOfWhatOrdinaryRolesMayUse)
{
    struct Case {
        int count;
        Status status;
    };
    for (const Case &c :
         {Case{72, Status::ok}, {73, Status::warning}, {87, Status::warning}, {88, Status::critical}})
        EXPECT_EQ(judge(with(many(c.count, "idle")), "connections").status, c.status) << c.count << " of 97";
}

TEST(Connections, BackgroundProcessesTakeNone)
{
    std::vector<Session> sessions = many(90, "active");
    for (Session &session : sessions)
        session.kind = "parallel worker";
    EXPECT_EQ(judge(with(sessions), "connections").status, Status::ok);
    EXPECT_EQ(judge(with(sessions), "active_connections").status, Status::ok);
}

TEST(Connections, TheRemedyFitsTheCause)
{
    EXPECT_NE(judge(with(many(90, "idle")), "connections").findings.at(0).fix.find("reset_idle_connections"),
              std::string::npos);
    const Finding busy = judge(with(many(90, "active")), "connections").findings.at(0);
    EXPECT_NE(busy.fix.find("max_connections = 200"), std::string::npos);
    EXPECT_FALSE(busy.undo.empty());
}

TEST(ActiveConnections, RunbookThresholds)
{
    EXPECT_EQ(judge(with(many(50, "active")), "active_connections").status, Status::ok);
    EXPECT_EQ(judge(with(many(51, "active")), "active_connections").status, Status::warning);
    EXPECT_EQ(judge(with(many(81, "active")), "active_connections").status, Status::critical);
    EXPECT_EQ(judge(with(many(90, "idle")), "active_connections").status, Status::ok);
}

TEST(Limits, OfRolesAndDatabases)
{
    Observations seen = with(many(8, "idle"));
    for (Session &session : seen.server.sessions)
        session.database = "My db";
    seen.server.role_connection_limits["app"] = 10;
    observed::Database database;
    database.name = "My db";
    database.connection_limit = 100;
    seen.server.databases.push_back(database);
    Outcome outcome = judge(seen, "role_or_database_limit");
    ASSERT_EQ(outcome.findings.size(), 1u);
    EXPECT_EQ(outcome.findings[0].object, "app");
    EXPECT_EQ(outcome.findings[0].fix, "ALTER ROLE app CONNECTION LIMIT 20;");
    EXPECT_EQ(outcome.findings[0].undo, "ALTER ROLE app CONNECTION LIMIT 10;");

    seen.server.databases[0].connection_limit = 8;
    outcome = judge(seen, "role_or_database_limit");
    EXPECT_EQ(outcome.status, Status::critical);
    EXPECT_EQ(outcome.findings[0].fix, "ALTER DATABASE \"My db\" CONNECTION LIMIT 16;");
}

TEST(Limits, ClosedAndInvalidDatabasesAreNoShortage)
{
    for (const int limit : {-2, -1, 0}) {
        Observations seen = with({});
        observed::Database database;
        database.name = "d";
        database.connection_limit = limit;
        seen.server.databases.push_back(database);
        EXPECT_EQ(judge(seen, "role_or_database_limit").status, Status::ok) << limit;
    }
}

TEST(LongQuery, MinutesOfClientsOnly)
{
    EXPECT_EQ(judge(with({active(1, 5 * minute)}), "long_query").status, Status::ok);
    EXPECT_EQ(judge(with({active(1, 6 * minute)}), "long_query").status, Status::warning);
    EXPECT_EQ(judge(with({active(1, 11 * minute)}), "long_query").status, Status::critical);
    for (const char *kind :
         {"walsender", "autovacuum worker", "opsrunbook worker", "logical replication worker"}) {
        Session session = active(1, 600 * minute);
        session.kind = kind;
        EXPECT_EQ(judge(with({session}), "long_query").status, Status::ok) << kind;
    }
}

TEST(LongQuery, WhatAnIdleSessionRanLastIsNoLongQuery)
{
    Session session = client(1, "idle");
    session.query_seconds = 600 * minute;
    EXPECT_EQ(judge(with({session}), "long_query").status, Status::ok);
}

TEST(LongQuery, DumpsAndMaintenanceAreLongByNature)
{
    for (const char *query :
         {"vacuum (verbose) t", "  CREATE INDEX CONCURRENTLY i ON t (n)", "COPY t TO stdout"}) {
        Session session = active(1, 600 * minute);
        session.query = query;
        EXPECT_EQ(judge(with({session}), "long_query").status, Status::ok) << query;
    }
    Session dump = active(1, 600 * minute);
    dump.application = "pg_dump";
    const Outcome outcome = judge(with({dump}), "long_query");
    EXPECT_EQ(outcome.status, Status::ok);
    EXPECT_NE(outcome.checked.find("not counted"), std::string::npos);
}

TEST(LongQuery, TheRemedyOfOneThatWaitsIsElsewhere)
{
    Session waiting = active(2, 20 * minute);
    waiting.blocked_by = {1};
    EXPECT_EQ(judge(with({waiting}), "long_query").findings.at(0).fix,
              "SELECT * FROM performance.blocking_tree;");
    EXPECT_EQ(judge(with({active(2, 20 * minute)}), "long_query").findings.at(0).fix,
              "SELECT pg_cancel_backend(2);");
}

TEST(LongTransaction, OnlyWhatHoldsSomething)
{
    Session session = active(1, 1);
    session.transaction_seconds = 31 * minute;
    EXPECT_EQ(judge(with({session}), "long_transaction").status, Status::ok);
    session.xmin_age = 5;
    EXPECT_EQ(judge(with({session}), "long_transaction").status, Status::warning);
    session.transaction_seconds = 61 * minute;
    EXPECT_EQ(judge(with({session}), "long_transaction").status, Status::critical);
}

TEST(LongTransaction, EachTroubleIsReportedOnce)
{
    Session one_statement = active(1, 90 * minute);
    one_statement.xmin_age = 5;
    EXPECT_EQ(judge(with({one_statement}), "long_transaction").status, Status::ok);
    Session sitting = idle_in_transaction(2, 90 * minute);
    sitting.xid_age = 5;
    EXPECT_EQ(judge(with({sitting}), "long_transaction").status, Status::ok);
    EXPECT_EQ(judge(with({sitting}), "idle_in_transaction").status, Status::critical);
}

TEST(IdleInTransaction, CountsFromTheLastStatementNotFromTheStart)
{
    Session session = idle_in_transaction(1, 2);
    session.transaction_seconds = 59 * minute;
    session.locks_held = 1;
    EXPECT_EQ(judge(with({session}), "idle_in_transaction").status, Status::ok);
    session.state_seconds = 6 * minute;
    EXPECT_EQ(judge(with({session}), "idle_in_transaction").status, Status::warning);
    session.state_seconds = 16 * minute;
    EXPECT_EQ(judge(with({session}), "idle_in_transaction").status, Status::critical);
}

TEST(IdleInTransaction, AHarmlessOneIsNoAlarmAndAWriterWithoutSnapshotIs)
{
    Session session = idle_in_transaction(1, 600 * minute);
    EXPECT_EQ(judge(with({session}), "idle_in_transaction").status, Status::ok);
    session.xid_age = 3; // wrote, and holds no snapshot between its statements
    EXPECT_EQ(judge(with({session}), "idle_in_transaction").status, Status::critical);
}

TEST(IdleInTransaction, SaysWhenNothingWouldEndIt)
{
    Session session = idle_in_transaction(1, 20 * minute);
    session.locks_held = 2;
    Observations seen = with({session});
    const std::string setting = "idle_in_transaction_session_timeout";
    seen.server.settings[setting].value = "0";
    EXPECT_NE(judge(seen, "idle_in_transaction").findings.at(0).message.find(setting), std::string::npos);
    seen.server.settings[setting].value = "3600000";
    EXPECT_EQ(judge(seen, "idle_in_transaction").findings.at(0).message.find(setting), std::string::npos);
}

TEST(IdleInTransaction, TheCauseNamesWhomItHoldsUp)
{
    Session holder = idle_in_transaction(1, 20 * minute);
    holder.locks_held = 1;
    holder.xmin_age = 2000000;
    Session waiting = active(2, 5);
    waiting.blocked_by = {1};
    const Finding finding = judge(with({holder, waiting}), "idle_in_transaction").findings.at(0);
    EXPECT_NE(finding.cause.find("1 session waits"), std::string::npos);
    EXPECT_NE(finding.cause.find("2,000,000 transactions old -> VACUUM"), std::string::npos);
    EXPECT_EQ(finding.fix, "SELECT pg_terminate_backend(1);");
}

TEST(PreparedTransactions, AgeAndTheDatabaseToFinishThemIn)
{
    Observations seen = with({});
    observed::Database here, there;
    here.name = "here";
    here.current = true;
    there.name = "there";
    seen.server.databases = {here, there};
    seen.server.prepared = {{"it's", "app", "here", 4 * minute, 1}};
    EXPECT_EQ(judge(seen, "prepared_transactions").status, Status::ok);
    seen.server.prepared[0].seconds = 6 * minute;
    EXPECT_EQ(judge(seen, "prepared_transactions").status, Status::warning);
    EXPECT_EQ(judge(seen, "prepared_transactions").findings.at(0).fix, "ROLLBACK PREPARED 'it''s';");
    seen.server.prepared[0] = {"g", "app", "there", 61 * minute, 1};
    EXPECT_EQ(judge(seen, "prepared_transactions").status, Status::critical);
    EXPECT_NE(judge(seen, "prepared_transactions").findings.at(0).fix.find("connect to database there"),
              std::string::npos);
}

TEST(PreparedTransactions, RoomForThemIsNoAlarm)
{
    Observations seen = with({});
    EXPECT_EQ(judge(seen, "prepared_transactions").checked, "no prepared transaction");
    seen.server.settings["max_prepared_transactions"] = {"10", "", "configuration file", "postmaster", false};
    const Outcome outcome = judge(seen, "prepared_transactions");
    EXPECT_EQ(outcome.status, Status::ok);
    EXPECT_NE(outcome.checked.find("room for 10"), std::string::npos);
}

TEST(Privileges, HiddenSessionsAreUnknownNeverHealthy)
{
    Session hidden;
    hidden.pid = 7;
    hidden.visible = false;
    for (const char *id : {"connections", "active_connections", "role_or_database_limit", "long_query",
                           "long_transaction", "idle_in_transaction", "blocked_sessions"}) {
        const Outcome outcome = judge(with({hidden}), id);
        EXPECT_EQ(outcome.status, Status::unknown) << id;
        EXPECT_EQ(outcome.findings.at(0).fix, "GRANT pg_read_all_stats TO watcher;") << id;
    }
    // what is visible is judged nevertheless
    EXPECT_EQ(judge(with({hidden, active(1, 20 * minute)}), "long_query").status, Status::critical);
}

TEST(Privileges, UnreadTopicsAreUnknown)
{
    Observations seen = with({});
    seen.server.unseen = {{"sessions", "refused"}, {"prepared transactions", "refused"}};
    for (const char *id : {"connections", "long_query", "prepared_transactions", "blocked_sessions"})
        EXPECT_EQ(judge(seen, id).status, Status::unknown) << id;
}

} // namespace
