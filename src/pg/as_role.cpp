#include "pg/as_role.hpp"
#include "pg/boundary.hpp"
#include "pg/database.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace opsrunbook::pg {

AsRole::AsRole(unsigned role)
{
    Oid before;
    GetUserIdAndSecContext(&before, &context);
    user = before;
    SetUserIdAndSecContext(role, context | SECURITY_LOCAL_USERID_CHANGE);
}

AsRole::~AsRole()
{
    SetUserIdAndSecContext(user, context);
}

std::optional<ServerError> try_query_as(unsigned role, const std::string &sql)
{
    return attempt([&] {
        const AsRole switched(role);
        query(sql);
    });
}

} // namespace opsrunbook::pg
