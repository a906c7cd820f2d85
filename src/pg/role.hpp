#pragma once
// Who is calling, and where.

#include <string>

namespace opsrunbook::pg {

bool is_superuser();
bool has_privileges_of(const std::string &role); // member with inherited rights; superusers have all
bool can_maintain(unsigned relation);            // owner of the relation, superuser, or MAINTAIN from 17
bool in_recovery();
unsigned current_database();
unsigned current_user();
std::string current_user_name();

// 42501 with a hint unless the caller has the privileges of pg_monitor.
void require_reader(const char *function);
// 42501 with a hint unless the caller is a superuser.
void require_superuser(const char *function);
// 25006 with a hint on a standby.
void require_primary(const char *function);

} // namespace opsrunbook::pg
