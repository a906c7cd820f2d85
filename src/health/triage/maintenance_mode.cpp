// Maintenance mode: the database read-only for whoever connects from now on, until it is ended.
//
// It is a setting of the database (default_transaction_read_only), so it survives a restart, and a row of
// opsrunbook.maintenance_period, which remembers what the setting was before.  Both are of one transaction.
// New connections wait until that transaction has ended; open ones keep what they started with.
#include "health/triage/triage.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "pg/database.hpp"
#include "pg/maintenance_mode.hpp"
#include "pg/notice.hpp"
#include "pg/signal.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;
using pg::Target;

constexpr double patience = 5; // seconds that terminated sessions are given to end

std::string database_name()
{
    return pg::query("SELECT current_database()::text").at(0, size_t{0}).text();
}

void alter_database(const std::string &what)
{
    pg::query("ALTER DATABASE " + base::quote_identifier(database_name()) + " " + what);
}

// The database's own setting; NULL: it has none.
Value own_setting()
{
    const pg::Result found =
        pg::query("SELECT split_part(c, '=', 2) FROM pg_db_role_setting s JOIN pg_database d"
                  " ON d.oid = s.setdatabase AND d.datname = current_database(), unnest(s.setconfig) c"
                  " WHERE s.setrole = 0 AND c LIKE 'default_transaction_read_only=%'");
    return found.empty() ? Value() : found.at(0, size_t{0});
}

pg::Result open_period()
{
    return pg::as_house_owner([] {
        return pg::query("SELECT id, reason, previous_setting, entered_by, entered_at::text AS since,"
                         " extract(epoch FROM clock_timestamp() - entered_at)::float8 AS seconds, entered_at"
                         " FROM opsrunbook.maintenance_period WHERE left_at IS NULL");
    });
}

// Roles whose own setting comes after the database's.
void add_exempt_roles(pg::Rows &rows)
{
    const pg::Result roles = pg::query(
        "SELECT r.rolname::text AS name, s.setdatabase <> 0 AS in_database FROM pg_db_role_setting s"
        " JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c"
        " WHERE c = 'default_transaction_read_only=off' AND s.setdatabase IN (0,"
        " (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1");
    for (size_t r = 0; r < roles.size(); ++r) {
        const std::string role = base::quote_identifier(roles.at(r, "name").text());
        const std::string in_database = roles.at(r, "in_database").boolean()
                                            ? " IN DATABASE " + base::quote_identifier(database_name())
                                            : "";
        rows.add({Value(), roles.at(r, "name"), Value(), Value(), Value(),
                  "can still write: the role has a default_transaction_read_only of its own",
                  format("ALTER ROLE %s%s RESET default_transaction_read_only;", role.c_str(),
                         in_database.c_str())});
    }
}

int64_t add_open_sessions(pg::Rows &rows, bool terminate)
{
    pg::query("SELECT pg_stat_clear_snapshot()");
    const pg::Result found = pg::query(
        "SELECT a.pid, a.backend_start, a.usename::text AS username, a.application_name, a.state,"
        " a.backend_type, round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 1)::float8 AS"
        " seconds FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()"
        // A turn of the scheduler is gone in a moment and writes nothing but its own journal.
        " AND a.backend_type NOT IN ('autovacuum worker', 'walsender', 'parallel worker',"
        " 'opsrunbook scheduler turn')"
        " ORDER BY a.backend_start");
    std::vector<Target> targets;
    for (size_t r = 0; r < found.size(); ++r) {
        Target target;
        const bool client = found.at(r, "backend_type").text() == "client backend";
        target.pid = client && terminate ? static_cast<int>(found.at(r, "pid").integer()) : 0;
        target.backend_start = found.at(r, "backend_start").timestamp().value_or(base::Timestamp());
        targets.push_back(target);
    }
    pg::send(targets, pg::Signal::terminate, Target::Same::session);
    const std::vector<bool> remaining = pg::wait_for(targets, Target::Same::session, patience);
    int64_t ended = 0;
    for (size_t i = 0; i < targets.size(); ++i) {
        const Target &target = targets[i];
        const bool gone = target.sent && !remaining[i];
        ended += gone;
        rows.add({found.at(i, "pid"), found.at(i, "username"), found.at(i, "application_name"),
                  found.at(i, "state"), found.at(i, "seconds"),
                  gone                      ? "terminated"
                  : remaining[i]            ? "terminated, but it has not ended yet"
                  : !target.refusal.empty() ? "can still write; not permitted: " + target.refusal
                                            : "can still write",
                  gone ? Value()
                       : Value(format("SELECT pg_terminate_backend(%lld);",
                                      static_cast<long long>(found.at(i, "pid").integer())))});
    }
    return ended;
}

} // namespace

void enter_maintenance_mode(const pg::Arguments &arguments, pg::Rows &rows)
{
    const std::string reason = arguments.text(0);
    if (reason.find_first_not_of(" \t\n") == std::string::npos)
        throw Error(ErrorKind::invalid_input, "maintenance mode needs a reason", "",
                    "Give one: it is shown to everybody who hits the read-only database.");
    const pg::Result open = open_period();
    if (!open.empty())
        throw Error(ErrorKind::not_ready, "the database is in maintenance mode already",
                    format("Role %s entered it at %s: %s", open.at(0, "entered_by").text().c_str(),
                           open.at(0, "since").text().c_str(), open.at(0, "reason").text().c_str()),
                    "SELECT opsrunbook.exit_maintenance_mode(); ends it.");
    pg::DespiteReadOnlyDefault writable;
    const Value previous = own_setting();
    alter_database("SET default_transaction_read_only = on"); // first: only the owner may, and go further
    alter_database("SET opsrunbook.maintenance_reason = " + base::quote_literal(base::one_line(reason, 500)));
    pg::hold_new_connections();
    const std::string user = pg::query("SELECT session_user::text").at(0, size_t{0}).text();
    pg::as_house_owner([&] {
        pg::query(
            "INSERT INTO opsrunbook.maintenance_period (reason, entered_at, entered_by, previous_setting)"
            " VALUES ($1, clock_timestamp(), $2, $3)",
            {reason, user, previous});
    });
    add_exempt_roles(rows);
    if (const int64_t ended = add_open_sessions(rows, arguments.boolean(1)))
        pg::as_house_owner([&] {
            pg::query(
                "UPDATE opsrunbook.maintenance_period SET sessions_terminated = $1 WHERE left_at IS NULL",
                {ended});
        });
    writable.end();
    pg::notice(format("database %s is read-only for every session that starts from now on: %s",
                      base::quote_identifier(database_name()).c_str(), reason.c_str()),
               "SELECT opsrunbook.exit_maintenance_mode(); ends it.");
}

Value exit_maintenance_mode(const pg::Arguments &)
{
    const pg::Result open = open_period();
    if (open.empty())
        throw Error(ErrorKind::not_ready, "the database is not in maintenance mode", "",
                    "SELECT * FROM opsrunbook.maintenance_mode; shows the state.");
    pg::DespiteReadOnlyDefault writable;
    const Value &previous = open.at(0, "previous_setting");
    alter_database(previous.is_null()
                       ? "RESET default_transaction_read_only"
                       : "SET default_transaction_read_only = " + base::quote_literal(previous.text()));
    alter_database("RESET opsrunbook.maintenance_reason");
    const std::string user = pg::query("SELECT session_user::text").at(0, size_t{0}).text();
    pg::as_house_owner([&] {
        pg::query("UPDATE opsrunbook.maintenance_period SET left_at = clock_timestamp(), left_by = $1"
                  " WHERE left_at IS NULL",
                  {user});
    });
    writable.end();
    pg::query("SELECT pg_stat_clear_snapshot()");
    const int64_t read_only =
        pg::query("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                  " AND backend_type = 'client backend' AND backend_start > $1",
                  {open.at(0, "entered_at")})
            .at(0, size_t{0})
            .integer();
    std::string text = "maintenance mode ended after " + base::duration_text(open.at(0, "seconds").real());
    if (!previous.is_null())
        text += format("; default_transaction_read_only of the database is %s again, as before",
                       previous.text().c_str());
    if (read_only > 0)
        text += format("; %s started meanwhile and stays read-only until it reconnects (SELECT * FROM "
                       "performance.reset_idle_connections(0); disconnects the idle ones)",
                       base::plural(read_only, "session").c_str());
    return text;
}

} // namespace opsrunbook::health
