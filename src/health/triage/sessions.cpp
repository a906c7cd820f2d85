// Ending what runs too long or sits idle.  Server-wide: the pool of connections is.
#include "health/triage/triage.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "pg/database.hpp"
#include "pg/signal.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Value;
using pg::Target;

constexpr double patience = 3; // seconds that a cancel, and then a disconnect, is given

double minutes_argument(const pg::Arguments &arguments, const char *name)
{
    if (arguments.is_null(0))
        throw base::Error(base::ErrorKind::invalid_input, base::format("%s must not be null", name));
    const int64_t minutes = arguments.integer(0);
    if (minutes < 0)
        throw base::Error(base::ErrorKind::invalid_input, base::format("%s must not be negative", name),
                          base::format("It is %lld.", static_cast<long long>(minutes)),
                          "Give a number of minutes; 0 means however short.");
    return static_cast<double>(minutes);
}

std::vector<Target> targets_of(const pg::Result &found)
{
    std::vector<Target> targets;
    for (size_t r = 0; r < found.size(); ++r) {
        Target target;
        target.pid = static_cast<int>(found.at(r, "pid").integer());
        target.backend_start = found.at(r, "backend_start").timestamp().value_or(base::Timestamp());
        target.since = found.at(r, "since").timestamp().value_or(base::Timestamp());
        targets.push_back(target);
    }
    return targets;
}

} // namespace

// Only clients' statements: replication, autovacuum and this extension's workers are of other kinds.
void kill_long_queries(const pg::Arguments &arguments, pg::Rows &rows)
{
    const double minutes = minutes_argument(arguments, "minutes");
    pg::query("SELECT pg_stat_clear_snapshot()");
    const pg::Result found = pg::query(
        "SELECT a.pid, a.backend_start, a.query_start AS since, a.query,"
        " floor(extract(epoch FROM clock_timestamp() - a.query_start) / 60)::int4 AS minutes"
        " FROM pg_stat_activity a WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()"
        " AND a.state IN ('active', 'fastpath function call')"
        " AND a.query_start <= clock_timestamp() - make_interval(secs => $1 * 60) ORDER BY a.query_start",
        {minutes});
    std::vector<Target> targets = targets_of(found);
    pg::send(targets, pg::Signal::cancel, Target::Same::statement);
    const std::vector<Target> cancelled = targets;
    const std::vector<bool> ignored = pg::wait_for(targets, Target::Same::statement, patience);
    for (size_t i = 0; i < targets.size(); ++i)
        if (!ignored[i])
            targets[i].pid = 0; // done with
    pg::send(targets, pg::Signal::terminate, Target::Same::statement);
    const std::vector<bool> remaining = pg::wait_for(targets, Target::Same::session, patience);
    for (size_t i = 0; i < targets.size(); ++i) {
        const Target &target = cancelled[i];
        if (!target.sent && target.refusal.empty())
            continue; // its statement ended by itself
        const std::string method = !target.refusal.empty() ? "not permitted: " + target.refusal
                                   : remaining[i]          ? "terminate (it has not ended yet)"
                                   : targets[i].sent       ? "terminate"
                                                           : "cancel";
        rows.add({target.pid, found.at(i, "minutes"), found.at(i, "query"), method});
    }
}

void reset_idle_connections(const pg::Arguments &arguments, pg::Rows &rows)
{
    const double minutes = minutes_argument(arguments, "idle_minutes");
    pg::query("SELECT pg_stat_clear_snapshot()");
    const pg::Result found = pg::query(
        "SELECT a.pid, a.backend_start, a.state_change AS since, a.usename::text AS username,"
        " a.datname::text AS database, a.application_name, a.state,"
        " round(extract(epoch FROM clock_timestamp() - a.state_change)::numeric, 1)::float8 AS idle"
        " FROM pg_stat_activity a WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()"
        " AND (a.state = 'idle' OR $2 AND a.state LIKE 'idle in transaction%')"
        " AND a.state_change <= clock_timestamp() - make_interval(secs => $1 * 60)"
        " ORDER BY a.state_change",
        {minutes, arguments.boolean(1, true)});
    std::vector<Target> targets = targets_of(found);
    pg::send(targets, pg::Signal::terminate, Target::Same::idle_spell);
    const std::vector<bool> remaining = pg::wait_for(targets, Target::Same::session, patience);
    for (size_t i = 0; i < targets.size(); ++i) {
        const Target &target = targets[i];
        if (!target.sent && target.refusal.empty())
            continue; // it woke up or left
        const std::string method = !target.refusal.empty() ? "not permitted: " + target.refusal
                                   : remaining[i]          ? "terminate (it has not ended yet)"
                                                           : "terminate";
        rows.add({target.pid, found.at(i, "username"), found.at(i, "database"),
                  found.at(i, "application_name"), found.at(i, "state"), found.at(i, "idle"), method});
    }
}

} // namespace opsrunbook::health
