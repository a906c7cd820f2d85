#include "health/sessions.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

using base::format;
using observed::Session;

std::string session_label(const Session &session)
{
    std::string who = session.kind == "client backend" || session.kind.empty() ? session.user : session.kind;
    if (!session.application.empty() && is_client(session))
        who += ", app " + base::quote_identifier(base::one_line(session.application, 40));
    return format("pid %d (%s)", session.pid, who.c_str());
}

bool is_client(const Session &session)
{
    return session.kind == "client backend" && !session.ours;
}

bool holds_something(const Session &session)
{
    return session.xid_age || session.xmin_age || session.locks_held > 0;
}

bool is_backup_tool(const Session &session)
{
    constexpr std::array names = {"pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup"};
    return std::find(names.begin(), names.end(), session.application) != names.end();
}

bool is_maintenance(std::string_view query)
{
    while (!query.empty() && std::isspace(static_cast<unsigned char>(query.front())))
        query.remove_prefix(1);
    std::string start(query.substr(0, 24));
    std::transform(start.begin(), start.end(), start.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    constexpr std::array<std::string_view, 9> commands = {
        "VACUUM",  "ANALYZE", "REINDEX", "CREATE INDEX", "CREATE UNIQUE INDEX",
        "CLUSTER", "REFRESH", "COPY",    "CHECKPOINT"};
    return std::any_of(commands.begin(), commands.end(),
                       [&start](std::string_view command) { return start.starts_with(command); });
}

std::string end_command(const Session &session)
{
    return format("SELECT %s(%d);", session.state == "active" ? "pg_cancel_backend" : "pg_terminate_backend",
                  session.pid);
}

bool sessions_seen(const Observations &seen, Judge &judge)
{
    if (const auto why = seen.server.unseen.find("sessions"); why != seen.server.unseen.end()) {
        judge.unknown("sessions could not be read: " + why->second);
        return false;
    }
    const int64_t hidden = std::count_if(seen.server.sessions.begin(), seen.server.sessions.end(),
                                         [](const Session &session) { return !session.visible; });
    if (hidden == 0)
        return true;
    Finding &finding =
        judge.found(Status::unknown, "",
                    format("%s of other roles cannot be read: this needs the privileges of pg_read_all_stats",
                           base::plural(hidden, "session").c_str()));
    finding.evidence.add("hidden_sessions", hidden);
    finding.fix = format("GRANT pg_read_all_stats TO %s;", base::quote_identifier(seen.server.user).c_str());
    finding.undo =
        format("REVOKE pg_read_all_stats FROM %s;", base::quote_identifier(seen.server.user).c_str());
    return false;
}

} // namespace opsrunbook::health
