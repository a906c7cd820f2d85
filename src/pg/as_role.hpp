#pragma once
// Another role's rights, for statements that run what that role may have written: conditions, triggers,
// functions.
//
// As in the server's own maintenance this is a security-restricted operation, because the commit comes later,
// with the caller's rights: what would run code then is refused (cursors WITH HOLD, triggers that are
// deferred), and so are temporary tables, prepared statements, LISTEN and SET ROLE.  Settings are put back.

#include <functional>
#include <optional>
#include <string>

#include "pg/server_error.hpp"

namespace opsrunbook::pg {

// However the body ends, the caller is itself again; SetUserIdAndSecContext() only assigns, so a destructor
// may call it.  Settings are put back by put_settings_back(), or by the abort of what failed.
class AsRole {
public:
    explicit AsRole(unsigned role);
    AsRole(const AsRole &) = delete;
    AsRole &operator=(const AsRole &) = delete;
    ~AsRole();
    void put_settings_back() const;

private:
    unsigned user;
    int context;
    int settings;
};

// Runs the body with the role's rights.  What it changes fails where a constraint is deferred: before it, SET
// CONSTRAINTS ALL IMMEDIATE.
template <class Body> void as_role(unsigned role, Body &&body)
{
    const AsRole switched(role);
    body();
    switched.put_settings_back();
}

// The same in a subtransaction.  Nothing: it worked.
std::optional<ServerError> try_as_role(unsigned role, const std::function<void()> &body);

// Runs one statement so, and throws its result away.
std::optional<ServerError> try_query_as(unsigned role, const std::string &sql);

} // namespace opsrunbook::pg
