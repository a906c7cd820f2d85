// Memory settings against the machine's memory.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/checks/setting_change.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::size_text;

constexpr double megabyte = 1024.0 * 1024;
constexpr double gigabyte = 1024 * megabyte;

void add_change(Finding &finding, const SettingChange &change)
{
    finding.fix = change.fix;
    finding.undo = change.undo;
}

void memory_commitment(const Observations &seen, Judge &judge)
{
    const observed::Server &server = seen.server;
    if (!server.memory_bytes)
        return judge.unknown("the machine's memory could not be read");
    const auto memory = static_cast<double>(*server.memory_bytes);
    const double shared = server.setting_number("shared_buffers", 16384) * 8192;
    const double work = server.setting_number("work_mem", 4096) * 1024;
    const double sessions = static_cast<double>(server.max_connections);
    const double all = shared + sessions * work;
    const std::string text =
        format("shared_buffers %s and %.0f sessions of work_mem %s come to %s, of %s of memory",
               size_text(static_cast<int64_t>(shared)).c_str(), sessions,
               size_text(static_cast<int64_t>(work)).c_str(), size_text(static_cast<int64_t>(all)).c_str(),
               size_text(*server.memory_bytes).c_str());
    if (Finding *finding = judge.measure(100 * all / memory, "", text)) {
        finding->evidence.add("shared_buffers_bytes", static_cast<int64_t>(shared))
            .add("work_mem_bytes", static_cast<int64_t>(work))
            .add("max_connections", server.max_connections)
            .add("memory_bytes", *server.memory_bytes);
        finding->cause = "all sessions sort at once -> memory runs out -> the kernel kills the server";
        if (shared > memory / 2)
            add_change(*finding,
                       change_setting(server, "shared_buffers", format("%.0fMB", memory / 4 / megabyte)));
        else { // half of what shared_buffers leaves
            const double share = (memory - shared) / 2 / std::max(1.0, sessions);
            add_change(*finding,
                       change_setting(server, "work_mem", format("%.0fkB", std::max(1024.0, share / 1024))));
        }
    }
    judge.fine(text);
}

void shared_buffers(const Observations &seen, Judge &judge)
{
    const observed::Server &server = seen.server;
    if (!server.memory_bytes || !server.database_bytes)
        return judge.unknown("the machine's memory or the database's size could not be read");
    const auto memory = static_cast<double>(*server.memory_bytes);
    const double shared = server.setting_number("shared_buffers", 16384) * 8192;
    const auto database = static_cast<double>(*server.database_bytes);
    judge.fine(format("shared_buffers %s for a database of %s",
                      size_text(static_cast<int64_t>(shared)).c_str(),
                      size_text(*server.database_bytes).c_str()));
    // initdb's value serves small databases and small machines well
    if (shared > 128 * megabyte || memory < 4 * gigabyte)
        return;
    if (Finding *finding = judge.measure(
            database / shared, "",
            format("shared_buffers is initdb's %s for a database of %s on a machine with %s of memory",
                   size_text(static_cast<int64_t>(shared)).c_str(), size_text(*server.database_bytes).c_str(),
                   size_text(*server.memory_bytes).c_str()))) {
        finding->evidence.add("shared_buffers_bytes", static_cast<int64_t>(shared))
            .add("database_bytes", *server.database_bytes)
            .add("memory_bytes", *server.memory_bytes);
        const double proposed = std::min({memory / 4, 16 * gigabyte, std::max(database, gigabyte)});
        add_change(*finding, change_setting(server, "shared_buffers", format("%.0fMB", proposed / megabyte)));
    }
}

constexpr Check checks[] = {
    {
        .id = "memory_settings",
        .title = "memory promised to sessions",
        .category = Category::configuration,
        .points = 30,
        .metric = "memory_commitment_pct",
        .unit = "% of memory",
        .warning = 100,
        .critical = 200,
        .explanation = "shared_buffers plus work_mem for every connection, against the machine's memory (or "
                       "what its control group allows). A statement may use work_mem several times.",
        .source = "(shared_buffers + max_connections * work_mem) / memory",
        .evaluate = memory_commitment,
    },
    {
        .id = "shared_buffers",
        .title = "shared_buffers never tuned",
        .category = Category::configuration,
        .points = 20,
        .metric = "database_to_shared_buffers",
        .unit = "x shared_buffers",
        .warning = 16,
        .explanation = "shared_buffers still as small as initdb made it, on a machine with memory to spare "
                       "and a database many times larger.",
        .source = "database size / shared_buffers, from 4 GB of memory on and up to 128 MB of shared_buffers",
        .evaluate = shared_buffers,
    },
};

} // namespace

std::span<const Check> memory_checks()
{
    return checks;
}

} // namespace opsrunbook::health
