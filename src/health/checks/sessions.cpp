// Sessions that run too long or sit on resources.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/sessions.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::duration_text;
using base::format;
using observed::Session;

bool idle_in_transaction(const Session &session)
{
    return session.state.starts_with("idle in transaction");
}

std::string object_of(const Session &session)
{
    return format("pid %d", session.pid);
}

// Whom a session keeps waiting, and which dead rows it keeps from VACUUM.
std::string harm_of(const Observations &seen, const Session &session)
{
    constexpr int64_t old_snapshot = 1000000; // transactions
    int64_t waiting = 0;
    for (const Session &other : seen.server.sessions)
        waiting += std::count(other.blocked_by.begin(), other.blocked_by.end(), session.pid);
    std::vector<std::string> parts;
    const int64_t age = std::max(session.xid_age.value_or(0), session.xmin_age.value_or(0));
    if (waiting > 0)
        parts.push_back(
            format("%s holds locks -> %s for it", session_label(session).c_str(),
                   waiting == 1 ? "1 session waits" : (count_text(waiting) + " sessions wait").c_str()));
    if (age >= old_snapshot)
        parts.push_back(
            format("%s holds a snapshot %s transactions old -> VACUUM cannot remove newer dead rows",
                   session_label(session).c_str(), count_text(age).c_str()));
    return base::join(parts, "; ");
}

void add_session_evidence(Finding &finding, const Session &session)
{
    finding.evidence.add("pid", session.pid)
        .add("user", session.user)
        .add("database", session.database)
        .add("application", session.application)
        .add("state", session.state)
        .add("query", base::one_line(session.query, 200))
        .add("query_seconds", session.query_seconds)
        .add("transaction_seconds", session.transaction_seconds)
        .add("state_seconds", session.state_seconds)
        .add("locks_held", session.locks_held)
        .add("xid_age", session.xid_age)
        .add("xmin_age", session.xmin_age);
}

// Dumps and maintenance commands are long by nature, and cancelling them is seldom the cure.
void long_query(const Observations &seen, Judge &judge)
{
    sessions_seen(seen, judge);
    int64_t spared = 0;
    double longest = 0;
    for (const Session &session : seen.server.sessions) {
        if (!is_client(session) || session.state != "active" || !session.query_seconds)
            continue;
        const double seconds = *session.query_seconds;
        if (is_backup_tool(session) || is_maintenance(session.query)) {
            spared += judge.level(seconds / 60, object_of(session)) != Status::ok;
            continue;
        }
        longest = std::max(longest, seconds);
        Finding *finding = judge.measure(
            seconds / 60, object_of(session),
            format("%s has been running one statement for %s%s: %s", session_label(session).c_str(),
                   duration_text(seconds).c_str(), session.blocked_by.empty() ? "" : " (it waits for a lock)",
                   base::one_line(session.query, 80).c_str()));
        if (!finding)
            continue;
        add_session_evidence(*finding, session);
        finding->cause = harm_of(seen, session);
        finding->fix =
            session.blocked_by.empty() ? end_command(session) : "SELECT * FROM performance.blocking_tree;";
    }
    judge.fine(format("longest statement: %s%s", duration_text(longest).c_str(),
                      spared ? format("; %s of a backup or of maintenance, long by nature, not counted",
                                      base::plural(spared, "statement").c_str())
                                   .c_str()
                             : ""));
}

// One long statement in a transaction of its own is long_query's to report, and a long idle spell
// idle_in_transaction's: here are the transactions that never come to an end.
void long_transaction(const Observations &seen, Judge &judge)
{
    constexpr double idle_spell = 300, same_start = 1; // seconds
    sessions_seen(seen, judge);
    double longest = 0;
    for (const Session &session : seen.server.sessions) {
        if (!is_client(session) || !session.transaction_seconds || is_backup_tool(session) ||
            is_maintenance(session.query) || !holds_something(session))
            continue;
        const double seconds = *session.transaction_seconds;
        if (session.state == "active" && seconds - session.query_seconds.value_or(0) < same_start)
            continue;
        if (idle_in_transaction(session) && session.state_seconds.value_or(0) > idle_spell)
            continue;
        longest = std::max(longest, seconds);
        Finding *finding = judge.measure(seconds / 60, object_of(session),
                                         format("%s has had a transaction open for %s (state: %s)",
                                                session_label(session).c_str(),
                                                duration_text(seconds).c_str(), session.state.c_str()));
        if (!finding)
            continue;
        add_session_evidence(*finding, session);
        finding->cause = harm_of(seen, session);
        finding->fix = format("SELECT pg_terminate_backend(%d);", session.pid);
    }
    judge.fine(format("longest transaction of several statements: %s", duration_text(longest).c_str()));
}

// Counted from the last change of state, not from the transaction's start, and only where the transaction
// holds something.
void idle_in_transaction_sessions(const Observations &seen, Judge &judge)
{
    sessions_seen(seen, judge);
    const bool never_ended = seen.server.setting_number("idle_in_transaction_session_timeout", 0) == 0;
    int64_t harmless = 0;
    for (const Session &session : seen.server.sessions) {
        if (!is_client(session) || !idle_in_transaction(session) || !session.state_seconds)
            continue;
        if (!holds_something(session)) {
            ++harmless;
            continue;
        }
        Finding *finding = judge.measure(
            *session.state_seconds / 60, object_of(session),
            format("%s has been idle in a transaction for %s and holds %s%s", session_label(session).c_str(),
                   duration_text(*session.state_seconds).c_str(),
                   session.locks_held > 0 ? base::plural(session.locks_held, "lock").c_str()
                   : session.xid_age      ? "a transaction id"
                                          : "a snapshot",
                   never_ended ? "; idle_in_transaction_session_timeout is 0, so nothing ends it" : ""));
        if (!finding)
            continue;
        add_session_evidence(*finding, session);
        finding->evidence.add("idle_in_transaction_session_timeout_set", !never_ended);
        finding->cause = harm_of(seen, session);
        finding->fix = format("SELECT pg_terminate_backend(%d);", session.pid);
    }
    judge.fine(harmless ? format("%s idle in a transaction that holds nothing",
                                 base::plural(harmless, "session").c_str())
                        : "no session is idle in a transaction for long");
}

void prepared_transactions(const Observations &seen, Judge &judge)
{
    if (const auto why = seen.server.unseen.find("prepared transactions"); why != seen.server.unseen.end())
        return judge.unknown("prepared transactions could not be read: " + why->second);
    for (const observed::PreparedTransaction &prepared : seen.server.prepared) {
        const std::string gid = base::quote_literal(prepared.gid);
        Finding *finding = judge.measure(
            prepared.seconds / 60, prepared.gid,
            format(
                "prepared transaction %s of role %s in database %s has been waiting for COMMIT PREPARED or "
                "ROLLBACK PREPARED for %s and keeps its locks",
                gid.c_str(), prepared.owner.c_str(), prepared.database.c_str(),
                duration_text(prepared.seconds).c_str()));
        if (!finding)
            continue;
        finding->evidence.add("gid", prepared.gid)
            .add("owner", prepared.owner)
            .add("database", prepared.database)
            .add("seconds", prepared.seconds)
            .add("xid_age", prepared.age);
        finding->cause = "a transaction manager lost its second phase -> locks and old row versions stay";
        const observed::Database *current = seen.server.current_database();
        finding->fix = current && current->name != prepared.database
                           ? format("-- connect to database %s and run: ROLLBACK PREPARED %s;",
                                    prepared.database.c_str(), gid.c_str())
                           : format("ROLLBACK PREPARED %s;", gid.c_str());
    }
    const double places = seen.server.setting_number("max_prepared_transactions", 0);
    judge.fine(seen.server.prepared.empty()
                   ? places == 0 ? "no prepared transaction"
                                 : format("no prepared transaction, and room for %.0f: unless a transaction "
                                          "manager needs it, max_prepared_transactions = 0 makes sure that "
                                          "none is forgotten",
                                          places)
                   : base::plural(static_cast<int64_t>(seen.server.prepared.size()), "prepared transaction") +
                         ", none of them old");
}

constexpr Check checks[] = {
    {
        .id = "long_query",
        .title = "statements that run for long",
        .category = Category::connections,
        .points = 40,
        .metric = "longest_query_minutes",
        .unit = "minutes",
        .warning = 5,
        .critical = 10,
        .bottleneck = true,
        .explanation =
            "A client's statement that runs for longer than the thresholds. Replication, background "
            "workers, dumps and maintenance commands are not counted.",
        .source = "pg_stat_activity: now - query_start, backend_type client backend, state active",
        .evaluate = long_query,
    },
    {
        .id = "long_transaction",
        .title = "transactions that stay open for long",
        .category = Category::connections,
        .points = 30,
        .metric = "longest_transaction_minutes",
        .unit = "minutes",
        .warning = 30,
        .critical = 60,
        .explanation = "A client's transaction of several statements that stays open: its locks and its "
                       "snapshot stay with it. Transactions that hold nothing are not counted.",
        .source = "pg_stat_activity: now - xact_start",
        .evaluate = long_transaction,
    },
    {
        .id = "idle_in_transaction",
        .title = "sessions idle in a transaction",
        .category = Category::connections,
        .points = 40,
        .metric = "idle_in_transaction_minutes",
        .unit = "minutes",
        .warning = 5,
        .critical = 15,
        .bottleneck = true,
        .explanation =
            "A session that opened a transaction, took a lock, a transaction id or a snapshot, and "
            "then fell silent: others wait for it and VACUUM cannot clean up behind it.",
        .source = "pg_stat_activity: now - state_change, and backend_xid, backend_xmin or a row in pg_locks",
        .evaluate = idle_in_transaction_sessions,
    },
    {
        .id = "prepared_transactions",
        .title = "forgotten prepared transactions",
        .category = Category::connections,
        .points = 40,
        .metric = "prepared_transaction_minutes",
        .unit = "minutes",
        .warning = 5,
        .critical = 60,
        .explanation = "A transaction prepared for two-phase commit and never finished. It survives restarts "
                       "and keeps its locks and old row versions.",
        .source = "pg_prepared_xacts: now - prepared",
        .evaluate = prepared_transactions,
    },
};

} // namespace

std::span<const Check> sessions_checks()
{
    return checks;
}

} // namespace opsrunbook::health
