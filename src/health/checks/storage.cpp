// Room: how large the database is.
#include "health/checks/checks.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

constexpr double gigabyte = 1024.0 * 1024 * 1024;

void database_size(const Observations &seen, Judge &judge)
{
    const std::optional<int64_t> bytes = seen.server.database_bytes;
    if (!bytes)
        return judge.unknown("the size of the database is not known");
    const observed::Database *database = seen.server.current_database();
    const std::string size = base::size_text(*bytes);
    if (Finding *finding = judge.measure(
            static_cast<double>(*bytes) / gigabyte, "",
            base::format("database %s has %s", database ? database->name.c_str() : "?", size.c_str()))) {
        finding->evidence.add("bytes", *bytes);
        finding->fix = "-- archive what is old (opsrunbook.set_retention), look for bloat "
                       "(performance.table_bloat_analysis), or "
                       "raise the threshold: UPDATE performance.alert_thresholds SET warning_threshold = "
                       "..., critical_threshold = ... "
                       "WHERE metric_name = 'database_size_gb' AND object = '';";
    }
    judge.fine(size);
}

constexpr Check checks[] = {
    {
        .id = "database_size",
        .title = "database size",
        .category = Category::storage,
        .points = 20,
        .metric = "database_size_gb",
        .unit = "GB",
        .warning = 5,
        .critical = 10,
        .explanation =
            "The size of the database's tables and indexes, against the runbooks' limits; set your own.",
        .source = "pages of pg_class, and the file of each relation that changed since they were counted",
        .evaluate = database_size,
    },
};

} // namespace

std::span<const Check> storage_checks()
{
    return checks;
}

} // namespace opsrunbook::health
