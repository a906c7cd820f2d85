#include "pg/as_role.hpp"
#include "pg/boundary.hpp"
#include "pg/database.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/guc.h"
}

namespace opsrunbook::pg {

AsRole::AsRole(unsigned role)
{
    settings = call([] { return NewGUCNestLevel(); });
    Oid before;
    GetUserIdAndSecContext(&before, &context);
    user = before;
    SetUserIdAndSecContext(role, (context & ~SECURITY_NOFORCE_RLS) | SECURITY_LOCAL_USERID_CHANGE |
                                     SECURITY_RESTRICTED_OPERATION);
}

AsRole::~AsRole()
{
    SetUserIdAndSecContext(user, context);
}

void AsRole::put_settings_back() const
{
    call([this] { AtEOXact_GUC(false, settings); });
}

std::optional<ServerError> try_as_role(unsigned role, const std::function<void()> &body)
{
    return attempt([&] { as_role(role, body); });
}

std::optional<ServerError> try_query_as(unsigned role, const std::string &sql)
{
    return try_as_role(role, [&] { query(sql); });
}

} // namespace opsrunbook::pg
