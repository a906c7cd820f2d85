#include "maintenance/still_at_work.hpp"

#include "base/error.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

using base::Value;

namespace {

// Finds the end of a row: $1 its id, $2 its part.
std::string end_of(const std::string &journal)
{
    if (journal == "task")
        return "SELECT FROM opsrunbook.task_end WHERE task_id = $1 AND attempt = $2";
    if (journal == "job")
        return "SELECT FROM opsrunbook.job_run WHERE id = $1 AND attempt = $2 AND finished_at IS NOT NULL";
    if (journal == "retention")
        return "SELECT FROM opsrunbook.retention_run WHERE run_id = $1 AND step = $2 AND status <> 'running'";
    throw base::Error(base::ErrorKind::invalid_input, "there is no journal \"" + journal + "\"",
                      "The journals are task, job and retention.");
}

} // namespace

Value still_at_work(const pg::Arguments &arguments)
{
    const std::string end = end_of(arguments.text(0));
    if (pg::in_recovery())
        return true;
    return pg::as_house_owner([&] {
        // A worker is listed until after its end is committed, so the list is looked at first.
        pg::query("SELECT pg_stat_clear_snapshot()");
        return pg::query("SELECT FROM pg_stat_activity WHERE pid = $1::int4 AND backend_start = $2",
                         {arguments.value(3), arguments.value(4)})
                       .processed > 0 ||
               pg::query_latest(end, {arguments.value(1), arguments.value(2)}).processed > 0;
    });
}

} // namespace opsrunbook::maintenance
