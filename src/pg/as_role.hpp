#pragma once
// Another role's rights, as inside a security-definer function of that role: SET ROLE is refused meanwhile.

#include <optional>
#include <string>

#include "pg/server_error.hpp"

namespace opsrunbook::pg {

// However the body ends, the caller is itself again; SetUserIdAndSecContext() only assigns, so a destructor
// may call it.  Deferred triggers would run later, as the caller: SET CONSTRAINTS ALL IMMEDIATE first.
class AsRole {
public:
    explicit AsRole(unsigned role);
    AsRole(const AsRole &) = delete;
    AsRole &operator=(const AsRole &) = delete;
    ~AsRole();

private:
    unsigned user;
    int context;
};

// Runs one statement with the role's rights in a subtransaction, and throws its result away.  Nothing: it
// worked.
std::optional<ServerError> try_query_as(unsigned role, const std::string &sql);

} // namespace opsrunbook::pg
