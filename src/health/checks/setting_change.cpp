#include "health/checks/setting_change.hpp"

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

// Who has a value of his own: ALTER DATABASE or ALTER ROLE; empty: the server's configuration.
std::string target(const observed::Server &server, const std::string &source)
{
    const observed::Database *database = server.current_database();
    const std::string database_name = database ? base::quote_identifier(database->name) : "";
    const std::string role = base::quote_identifier(server.user);
    if (source == "database")
        return "DATABASE " + database_name;
    if (source == "user")
        return "ROLE " + role;
    if (source == "database user")
        return "ROLE " + role + " IN DATABASE " + database_name;
    return "";
}

} // namespace

SettingChange change_setting(const observed::Server &server, const std::string &name,
                             const std::string &value)
{
    const auto found = server.settings.find(name);
    const observed::Setting setting = found == server.settings.end() ? observed::Setting{} : found->second;
    if (setting.source == "command line" || setting.source == "environment variable")
        return {format("-- %s comes from the server's %s: set %s = %s there and restart the server",
                       name.c_str(), setting.source.c_str(), name.c_str(), value.c_str()),
                ""};
    const std::string assignment = format("%s = %s", name.c_str(), base::quote_literal(value).c_str());
    const std::string before = format("%s = %s", name.c_str(), base::quote_literal(setting.value).c_str());
    if (const std::string whose = target(server, setting.source); !whose.empty())
        return {format("ALTER %s SET %s;", whose.c_str(), assignment.c_str()),
                format("ALTER %s SET %s;", whose.c_str(), before.c_str())};
    const char *const apply =
        setting.context == "postmaster" ? " -- and restart the server" : " SELECT pg_reload_conf();";
    return {format("ALTER SYSTEM SET %s;%s", assignment.c_str(), apply),
            setting.source == "default" ? format("ALTER SYSTEM RESET %s;%s", name.c_str(), apply)
                                        : format("ALTER SYSTEM SET %s;%s", before.c_str(), apply)};
}

} // namespace opsrunbook::health
