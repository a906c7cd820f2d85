#include "observed/server.hpp"

#include <cstdlib>

#include "base/no_server_headers.hpp"

namespace opsrunbook::observed {

const Database *Server::current_database() const
{
    for (const Database &database : databases)
        if (database.current)
            return &database;
    return nullptr;
}

const HorizonHolder *Server::holder_of_rows() const
{
    const Database *database = current_database();
    for (const HorizonHolder &holder : horizon)
        if (!holder.catalogs_only &&
            (holder.database.empty() || !database || holder.database == database->name))
            return &holder;
    return nullptr;
}

std::optional<double> Server::counted_seconds(const Database &database) const
{
    const std::optional<base::Timestamp> since = database.sampled       ? database.sampled
                                                 : database.stats_reset ? database.stats_reset
                                                                        : counting_since;
    return since ? std::optional((now - *since).seconds()) : std::nullopt;
}

double Server::setting_number(const std::string &name, double otherwise) const
{
    const auto found = settings.find(name);
    return found == settings.end() ? otherwise : std::strtod(found->second.value.c_str(), nullptr);
}

bool Server::setting_on(const std::string &name, bool otherwise) const
{
    const auto found = settings.find(name);
    return found == settings.end() ? otherwise : found->second.value == "on";
}

} // namespace opsrunbook::observed
