#include "health/checks/horizon.hpp"

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

using base::format;

std::string remedy_of(const observed::HorizonHolder &holder)
{
    if (holder.kind == "session")
        return format("SELECT pg_terminate_backend(%d);", holder.pid);
    if (holder.kind == "prepared transaction")
        return format("ROLLBACK PREPARED %s;", base::quote_literal(holder.name).c_str());
    if (holder.kind == "standby")
        return "-- end the long query on the standby, or set hot_standby_feedback = off there";
    return format("SELECT pg_drop_replication_slot(%s);", base::quote_literal(holder.name).c_str());
}

} // namespace opsrunbook::health
