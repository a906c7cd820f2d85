// Room for connections.
#include "health/checks/checks.hpp"

#include <algorithm>
#include <map>

#include "health/sessions.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using observed::Session;

// The role with most connections.
std::pair<std::string, int64_t> top_role(const Observations &seen)
{
    std::map<std::string, int64_t> counts;
    std::pair<std::string, int64_t> top;
    for (const Session &session : seen.server.sessions)
        if (is_client(session) && ++counts[session.user] > top.second)
            top = {session.user, counts[session.user]};
    return top;
}

// What ordinary roles may use: the reserved slots let an administrator in when all others are taken.
void connections(const Observations &seen, Judge &judge)
{
    if (!sessions_seen(seen, judge))
        return; // the kind of a hidden session is hidden too: no number would be right
    int64_t used = 0, idle = 0, idle_in_transaction = 0;
    for (const Session &session : seen.server.sessions) {
        used += session.kind == "client backend";
        idle += is_client(session) && session.state == "idle";
        idle_in_transaction += is_client(session) && session.state.starts_with("idle in transaction");
    }
    const int64_t usable =
        std::max<int64_t>(1, seen.server.max_connections - seen.server.reserved_connections);
    const double pct = 100.0 * static_cast<double>(used) / static_cast<double>(usable);
    const std::string numbers = format("%s of %s usable connections are taken (%.0f %%)",
                                       count_text(used).c_str(), count_text(usable).c_str(), pct);
    if (Finding *finding = judge.measure(pct, "", numbers)) {
        const auto [user, of_user] = top_role(seen);
        finding->message +=
            format(": %s idle, %s idle in transaction; most by role %s (%s)", count_text(idle).c_str(),
                   count_text(idle_in_transaction).c_str(), user.c_str(), count_text(of_user).c_str());
        finding->evidence.add("used", used)
            .add("usable", usable)
            .add("max_connections", seen.server.max_connections)
            .add("idle", idle)
            .add("idle_in_transaction", idle_in_transaction)
            .add("top_role", user)
            .add("top_role_connections", of_user);
        finding->fix =
            idle + idle_in_transaction > used / 2
                ? "SELECT * FROM performance.reset_idle_connections(10);"
                : format("ALTER SYSTEM SET max_connections = %lld; -- needs a restart; a pooler in "
                         "front is the better cure",
                         static_cast<long long>(seen.server.max_connections * 2));
        if (finding->fix.starts_with("ALTER"))
            finding->undo = "ALTER SYSTEM RESET max_connections; -- needs a restart";
    }
    judge.fine(numbers);
}

void active_connections(const Observations &seen, Judge &judge)
{
    sessions_seen(seen, judge);
    int64_t active = 0, waiting = 0;
    for (const Session &session : seen.server.sessions)
        if (is_client(session) && session.state == "active") {
            ++active;
            waiting += session.wait_event_type == "Lock";
        }
    const std::string numbers =
        format("%s, %s of them waiting for a lock", base::plural(active, "active session").c_str(),
               count_text(waiting).c_str());
    if (Finding *finding = judge.measure(static_cast<double>(active), "", numbers)) {
        finding->evidence.add("active", active).add("waiting_for_locks", waiting);
        if (waiting > active / 2) {
            finding->cause = "sessions wait for locks -> they stay active -> more of them pile up";
            finding->fix = "SELECT * FROM performance.blocking_tree;";
        }
        else
            finding->fix = "SELECT * FROM performance.active_queries ORDER BY query_duration_seconds DESC;";
    }
    judge.fine(numbers);
}

void judge_limit(Judge &judge, const char *what, const char *keyword, const std::string &name, int64_t used,
                 int64_t limit)
{
    const double pct = 100.0 * static_cast<double>(used) / static_cast<double>(limit);
    const std::string quoted = base::quote_identifier(name);
    Finding *finding =
        judge.measure(pct, quoted,
                      format("%s %s has %s of the %s connections that its limit allows (%.0f %%)", what,
                             quoted.c_str(), count_text(used).c_str(), count_text(limit).c_str(), pct));
    if (!finding)
        return;
    finding->evidence.add("used", used).add("limit", limit).add("kind", what);
    finding->fix = format("ALTER %s %s CONNECTION LIMIT %lld;", keyword, quoted.c_str(),
                          static_cast<long long>(limit * 2));
    finding->undo =
        format("ALTER %s %s CONNECTION LIMIT %lld;", keyword, quoted.c_str(), static_cast<long long>(limit));
}

// A limit of 0 closes a role or a database on purpose; -2 marks an invalid database.  Neither is a shortage.
void role_or_database_limit(const Observations &seen, Judge &judge)
{
    if (!sessions_seen(seen, judge))
        return;
    std::map<std::string, int64_t> by_role, by_database;
    for (const Session &session : seen.server.sessions)
        if (session.kind == "client backend") {
            ++by_role[session.user];
            ++by_database[session.database];
        }
    for (const auto &[role, limit] : seen.server.role_connection_limits)
        if (limit > 0)
            judge_limit(judge, "role", "ROLE", role, by_role[role], limit);
    for (const observed::Database &database : seen.server.databases)
        if (database.connection_limit > 0)
            judge_limit(judge, "database", "DATABASE", database.name, by_database[database.name],
                        database.connection_limit);
    judge.fine("no role and no database is near its connection limit");
}

constexpr Check checks[] = {
    {
        .id = "connections",
        .title = "connections taken, of those that may be used",
        .category = Category::connections,
        .points = 50,
        .metric = "connections_pct",
        .unit = "%",
        .warning = 75,
        .critical = 90,
        .bottleneck = true,
        .explanation = "Client sessions as a share of max_connections less the slots reserved for "
                       "administrators. When none is left, nobody else gets in.",
        .source = "client backends / (max_connections - superuser_reserved_connections - "
                  "reserved_connections [16 and later])",
        .evaluate = connections,
    },
    {
        .id = "active_connections",
        .title = "sessions running a statement",
        .category = Category::connections,
        .points = 40,
        .metric = "active_connections",
        .unit = "sessions",
        .warning = 50,
        .critical = 80,
        .bottleneck = true,
        .explanation = "Client sessions whose statement is running right now. Many more than there are "
                       "processor cores get in each other's way.",
        .source = "pg_stat_activity, backend_type client backend, state active",
        .evaluate = active_connections,
    },
    {
        .id = "role_or_database_limit",
        .title = "connection limits of roles and databases",
        .category = Category::connections,
        .points = 30,
        .metric = "connection_limit_pct",
        .unit = "%",
        .warning = 75,
        .critical = 90,
        .explanation =
            "Connections of a role or a database as a share of its own CONNECTION LIMIT. Superusers "
            "are not bound by it.",
        .source = "pg_roles.rolconnlimit, pg_database.datconnlimit",
        .evaluate = role_or_database_limit,
    },
};

} // namespace

std::span<const Check> connections_checks()
{
    return checks;
}

} // namespace opsrunbook::health
