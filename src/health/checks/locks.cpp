// Who waits for whom, and for how long.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/lock_tree.hpp"
#include "health/sessions.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::duration_text;
using base::format;
using observed::Session;

std::string root_label(const LockTree &tree)
{
    if (tree.root == 0)
        return "a prepared transaction";
    return tree.session ? session_label(*tree.session) : format("pid %d (this session)", tree.root);
}

std::string root_state(const LockTree &tree)
{
    if (!tree.session)
        return "";
    const Session &session = *tree.session;
    if (session.state.starts_with("idle in transaction"))
        return format(", %s for %s,", session.state.c_str(),
                      duration_text(session.state_seconds.value_or(0)).c_str());
    if (session.state == "active")
        return format(", running for %s,", duration_text(session.query_seconds.value_or(0)).c_str());
    return "";
}

// root -> who waits for it on what -> who waits for that one: the deepest path below the longest waiter.
std::string chain(const LockTree &tree)
{
    constexpr int links = 5;
    std::string text = root_label(tree);
    int last = tree.root;
    for (int link = 0; link < links; ++link) {
        const LockWait *next = nullptr;
        for (const LockWait &wait : tree.waits)
            if (wait.blocker == last &&
                (!next || wait.session->wait_seconds.value_or(0) > next->session->wait_seconds.value_or(0)))
                next = &wait;
        if (!next)
            break;
        const Session &session = *next->session;
        text += format(" -> %s waits for %s on %s", session_label(session).c_str(), session.wait_mode.c_str(),
                       session.waits_for.c_str());
        last = session.pid;
    }
    return text;
}

std::string fix_for(const Observations &seen, const LockTree &tree)
{
    if (tree.session)
        return end_command(*tree.session);
    if (tree.root != 0)
        return "-- this session holds the lock: COMMIT or ROLLBACK";
    if (seen.server.prepared.size() == 1)
        return format("ROLLBACK PREPARED %s;", base::quote_literal(seen.server.prepared[0].gid).c_str());
    return "SELECT gid, prepared, owner, database FROM pg_prepared_xacts ORDER BY prepared; -- then COMMIT "
           "or "
           "ROLLBACK PREPARED the one that is left over";
}

void blocked_sessions(const Observations &seen, Judge &judge)
{
    sessions_seen(seen, judge);
    size_t waiting = 0;
    for (const LockTree &tree : lock_trees(seen.server.sessions)) {
        waiting += tree.waits.size();
        const double seconds = tree.longest_seconds();
        const std::string object = tree.root == 0 ? "prepared transaction" : format("pid %d", tree.root);
        Finding *finding = judge.measure(
            seconds, object,
            format("%s%s holds up %s, the longest for %s", root_label(tree).c_str(), root_state(tree).c_str(),
                   base::plural(static_cast<int64_t>(tree.waits.size()), "session").c_str(),
                   duration_text(seconds).c_str()));
        if (!finding)
            continue;
        base::Value::Integers pids;
        std::string list;
        for (const LockWait &wait : tree.waits)
            list += (list.empty() ? "" : ",") + std::to_string(wait.session->pid);
        finding->evidence.add("root_pid", tree.root)
            .add("blocked", tree.waits.size())
            .raw("blocked_pids", "[" + list + "]")
            .add("longest_wait_seconds", seconds);
        if (tree.session)
            finding->evidence.add("root_user", tree.session->user)
                .add("root_state", tree.session->state)
                .add("root_query", base::one_line(tree.session->query, 200));
        finding->cause = chain(tree);
        finding->fix = fix_for(seen, tree);
    }
    judge.fine(waiting
                   ? format("%s for a lock, none of them for long",
                            waiting == 1 ? "1 session waits" : format("%zu sessions wait", waiting).c_str())
                   : "no session waits for a lock");
}

// Autovacuum gives way to anybody, except when it must prevent wraparound: then it waits.
void autovacuum_blocked(const Observations &seen, Judge &judge)
{
    for (const Session &session : seen.server.sessions) {
        if (session.kind != "autovacuum worker" || session.blocked_by.empty())
            continue;
        Finding *finding = judge.measure(
            session.wait_seconds.value_or(0) / 60, session.waits_for,
            format("an autovacuum worker (pid %d) has been waiting for a lock on %s for %s", session.pid,
                   session.waits_for.c_str(), duration_text(session.wait_seconds.value_or(0)).c_str()));
        if (!finding)
            continue;
        const int64_t blocker = session.blocked_by.front();
        finding->evidence.add("pid", session.pid).add("blocked_by", blocker);
        finding->cause = format("pid %lld holds a lock on %s -> autovacuum cannot freeze it",
                                static_cast<long long>(blocker), session.waits_for.c_str());
        finding->fix =
            blocker ? format("SELECT pg_terminate_backend(%lld);", static_cast<long long>(blocker))
                    : "SELECT gid, prepared, owner, database FROM pg_prepared_xacts ORDER BY prepared;";
    }
    judge.fine("no autovacuum worker waits for a lock");
}

constexpr Check checks[] = {
    {
        .id = "blocked_sessions",
        .title = "sessions that wait for a lock",
        .category = Category::locks,
        .points = 60,
        .metric = "lock_wait_seconds",
        .unit = "seconds",
        .warning = 30,
        .critical = 300,
        .bottleneck = true,
        .explanation =
            "Sessions that wait for a lock, one finding for each session at the root of the queue: "
            "ending that one lets the others go on.",
        .source = "pg_blocking_pids(), pg_locks.waitstart",
        .evaluate = blocked_sessions,
    },
    {
        .id = "autovacuum_blocked",
        .title = "autovacuum waiting for a lock",
        .category = Category::locks,
        .points = 30,
        .metric = "autovacuum_wait_minutes",
        .unit = "minutes",
        .warning = 5,
        .critical = 60,
        .explanation =
            "An autovacuum worker that waits behind somebody's lock, as it does only when the table "
            "must be frozen: the worker is lost to all other tables meanwhile.",
        .source = "pg_stat_activity, backend_type autovacuum worker; pg_blocking_pids()",
        .evaluate = autovacuum_blocked,
    },
};

} // namespace

std::span<const Check> locks_checks()
{
    return checks;
}

} // namespace opsrunbook::health
