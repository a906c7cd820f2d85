#include "observed/horizon.hpp"

#include <algorithm>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::observed {

std::vector<HorizonHolder> horizon_of(const Server &server)
{
    std::vector<HorizonHolder> holders;
    for (const Session &session : server.sessions) {
        const int64_t age = std::max(session.xid_age.value_or(0), session.xmin_age.value_or(0));
        if (age > 0 && session.kind != "autovacuum worker" && session.kind != "walsender" && !session.ours)
            holders.push_back({"session", base::format("pid %d (%s)", session.pid, session.user.c_str()), age,
                               session.pid, session.database, session.transaction_seconds});
    }
    for (const PreparedTransaction &prepared : server.prepared)
        holders.push_back(
            {"prepared transaction", prepared.gid, prepared.age, 0, prepared.database, prepared.seconds});
    for (const Slot &slot : server.slots) {
        if (slot.xmin_age)
            holders.push_back({.kind = "replication slot", .name = slot.name, .age = *slot.xmin_age});
        if (slot.catalog_xmin_age)
            holders.push_back({.kind = "replication slot (catalog)",
                               .name = slot.name,
                               .age = *slot.catalog_xmin_age,
                               .catalogs_only = true});
    }
    for (const Standby &standby : server.standbys)
        if (standby.xmin_age)
            holders.push_back(
                {.kind = "standby", .name = standby.name, .age = *standby.xmin_age, .pid = standby.pid});
    std::stable_sort(holders.begin(), holders.end(),
                     [](const HorizonHolder &a, const HorizonHolder &b) { return a.age > b.age; });
    return holders;
}

} // namespace opsrunbook::observed
