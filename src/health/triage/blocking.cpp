// The lock queue as a tree.
#include "health/triage/triage.hpp"

#include "health/lock_tree.hpp"
#include "health/sessions.hpp"
#include "pg/catalog/server.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Value;

Value text_or_null(const std::string &text)
{
    return text.empty() ? Value() : Value(text);
}

Value rounded(const std::optional<double> &seconds)
{
    return seconds ? Value(static_cast<double>(static_cast<int64_t>(*seconds * 10)) / 10) : Value();
}

} // namespace

void list_blocking_tree(const pg::Arguments &, pg::Rows &rows)
{
    const observed::Server server = pg::read_sessions_only();
    for (const LockTree &tree : lock_trees(server.sessions)) {
        const observed::Session *root = tree.session;
        const std::string command =
            root             ? end_command(*root)
            : tree.root != 0 ? "-- your own session: COMMIT or ROLLBACK"
            : server.prepared.size() == 1
                ? "ROLLBACK PREPARED " + base::quote_literal(server.prepared[0].gid) + ";"
                : "SELECT * FROM pg_prepared_xacts ORDER BY prepared;";
        for (const LockWait &wait : tree.waits) {
            const observed::Session &session = *wait.session;
            rows.add({tree.root ? Value(tree.root) : Value(), session.pid,
                      wait.blocker ? Value(wait.blocker) : Value(), wait.depth,
                      text_or_null(session.waits_for), text_or_null(session.wait_mode),
                      rounded(session.wait_seconds), base::one_line(session.query, 200), session.user,
                      root ? Value(base::one_line(root->query, 200)) : Value(),
                      root ? Value(root->user) : Value(),
                      text_or_null(root             ? root->state
                                   : tree.root != 0 ? "active"
                                                    : "prepared transaction"),
                      root ? rounded(root->transaction_seconds) : Value(), tree.waits.size(), command});
        }
    }
}

} // namespace opsrunbook::health
