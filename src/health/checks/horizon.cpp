#include "health/checks/horizon.hpp"

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

using base::format;

// A prepared transaction ends in its own database only, and a slot that is read cannot be dropped.
std::string remedy_of(const observed::Server &server, const observed::HorizonHolder &holder)
{
    const std::string name = base::quote_literal(holder.name);
    if (holder.kind == "session")
        return format("SELECT pg_terminate_backend(%d);", holder.pid);
    if (holder.kind == "standby")
        return "-- end the long query on the standby, or set hot_standby_feedback = off there";
    if (holder.kind == "prepared transaction") {
        const observed::Database *current = server.current_database();
        if (current && current->name != holder.database)
            return format("-- connect to database %s and run: ROLLBACK PREPARED %s;", holder.database.c_str(),
                          name.c_str());
        return format("ROLLBACK PREPARED %s;", name.c_str());
    }
    for (const observed::Slot &slot : server.slots)
        if (slot.name == holder.name && slot.active)
            return "-- find out why its reader lags: SELECT * FROM pg_stat_replication;";
    return format("SELECT pg_drop_replication_slot(%s);", name.c_str());
}

} // namespace opsrunbook::health
