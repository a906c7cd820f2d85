#include "pg/role.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"

#include "base/text.hpp"

extern "C" {
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "utils/acl.h"
}

namespace opsrunbook::pg {

bool is_superuser()
{
    return call([] { return superuser(); });
}

bool has_privileges_of(const std::string &role)
{
    const char *const name = role.c_str();
    return call([name] {
        const Oid oid = get_role_oid(name, true);
        return OidIsValid(oid) && has_privs_of_role(GetUserId(), oid);
    });
}

bool can_maintain(unsigned relation)
{
    return call([relation] {
#if PG_VERSION_NUM >= 170000
        if (pg_class_aclcheck(relation, GetUserId(), ACL_MAINTAIN) == ACLCHECK_OK)
            return true;
#endif
        return compat::owns_relation(relation);
    });
}

bool in_recovery()
{
    return call([] { return RecoveryInProgress(); });
}

unsigned current_database()
{
    return MyDatabaseId;
}

unsigned current_user()
{
    return call([] { return GetUserId(); });
}

std::string current_user_name()
{
    const char *const name =
        call([] { return static_cast<const char *>(GetUserNameFromId(GetUserId(), false)); });
    return name;
}

void require_reader(const char *function)
{
    if (has_privileges_of("pg_monitor"))
        return;
    const std::string role = base::quote_identifier(current_user_name());
    throw base::Error(base::ErrorKind::not_allowed,
                      base::format("permission denied for function %s", function),
                      base::format("Role %s does not have the privileges of role pg_monitor.", role.c_str()),
                      base::format("Ask a superuser to run: GRANT pg_monitor TO %s;", role.c_str()));
}

void require_superuser(const char *function)
{
    if (!is_superuser())
        throw base::Error(
            base::ErrorKind::not_allowed, base::format("permission denied for function %s", function),
            base::format("Role %s is not a superuser.", base::quote_identifier(current_user_name()).c_str()),
            "Call it as a superuser.");
}

void require_primary(const char *function)
{
    if (in_recovery())
        throw base::Error(base::ErrorKind::read_only,
                          base::format("cannot execute %s during recovery", function),
                          "This server is a standby: nothing can be written on it.",
                          "Call it on the primary; the functions that only read work here.");
}

} // namespace opsrunbook::pg
