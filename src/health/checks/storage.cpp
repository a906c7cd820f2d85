// Room: how large the database is; what runs out; tables whose shape loses data or blocks others.
#include "health/checks/checks.hpp"
#include "health/checks/storage_checks.hpp"

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
    {
        .id = "sequence_exhaustion",
        .title = "sequences near their end",
        .category = Category::storage,
        .points = 60,
        .metric = "sequence_used_pct",
        .unit = "%",
        .warning = 75,
        .critical = 90,
        .explanation =
            "How much of a sequence's way from its start to its end is used up. The end is the sequence's "
            "own "
            "or that of the column that takes its values, whichever comes first; inserts fail there. "
            "Sequences that cycle do not count. Of more than 4,000 sequences a look at everything reads the "
            "most used "
            "ones; findings(ARRAY['sequence_exhaustion']) reads all.",
        .source = "(last_value - start) / (least(sequence's end, end of the column's type) - start)",
        .evaluate = sequence_exhaustion,
    },
    {
        .id = "int4_primary_key",
        .title = "primary keys of a narrow type",
        .category = Category::storage,
        .points = 40,
        .metric = "narrow_key_used_pct",
        .unit = "%",
        .warning = 25,
        .critical = 50,
        .explanation =
            "Tables whose primary key is one smallint or integer column and whose rows alone take this share "
            "of the type's positive values. Changing the type rewrites the table, which takes longest when "
            "it "
            "is most urgent.",
        .source = "pg_class.reltuples / 32767 or / 2147483647",
        .evaluate = int4_primary_key,
    },
    {
        .id = "tables_without_primary_key",
        .title = "changing tables without a key",
        .category = Category::storage,
        .points = 10,
        .metric = "changed_rows_without_key",
        .unit = "rows",
        .warning = 1000,
        .explanation =
            "Tables with neither a primary key nor a unique index, of which rows are updated or deleted. A "
            "table that only grows, such as a log, does not count.",
        .source = "pg_index.indisunique; n_tup_upd + n_tup_del",
        .evaluate = tables_without_primary_key,
    },
    {
        .id = "unlogged_tables",
        .title = "unlogged tables with rows",
        .category = Category::storage,
        .points = 20,
        .metric = "unlogged_rows",
        .unit = "rows",
        .warning = 0,
        .explanation = "Unlogged tables are emptied by a crash and are not on standbys. Where that is meant, "
                       "disable the "
                       "alarm for the table with a threshold of its own.",
        .source = "pg_class.relpersistence = 'u'",
        .evaluate = unlogged_tables,
    },
    {
        .id = "replica_identity",
        .title = "published tables without replica identity",
        .category = Category::replication,
        .points = 30,
        .explanation =
            "Tables in a publication of updates or deletes that have no primary key (or another replica "
            "identity): the server refuses UPDATE and DELETE on them.",
        .source = "pg_class.relreplident, pg_index.indisprimary and indisreplident, pg_publication",
        .evaluate = replica_identity,
    },
    {
        .id = "not_valid_constraints",
        .title = "constraints that were never validated",
        .category = Category::storage,
        .points = 10,
        .explanation =
            "Constraints added NOT VALID and not validated since: older rows may break them. NOT ENFORCED "
            "constraints (18) are meant so and do not count.",
        .source = "pg_constraint.convalidated",
        .evaluate = not_valid_constraints,
    },
    {
        .id = "default_partition",
        .title = "default partitions that fill up",
        .category = Category::storage,
        .points = 20,
        .metric = "default_partition_rows",
        .unit = "rows",
        .warning = 1000,
        .critical = 1e6,
        .explanation =
            "Rows for which no partition was there lie in the default partition. The more there are, the "
            "longer the lock under which a partition for them can be made.",
        .source = "pg_partitioned_table.partdefid, n_live_tup",
        .evaluate = default_partition,
    },
    {
        .id = "orphan_temp_tables",
        .title = "temporary tables without a session",
        .category = Category::wraparound,
        .points = 30,
        .metric = "orphan_temp_table_age",
        .unit = "transactions",
        .warning = 50e6,
        .critical = 500e6,
        .explanation = "Temporary tables left by a crash. No VACUUM can freeze them, so they hold back the "
                       "transaction-id "
                       "age of the database. Autovacuum drops them when it comes by.",
        .source = "age(relfrozenxid) of temporary tables whose schema no session uses",
        .evaluate = orphan_temp_tables,
    },
};

} // namespace

std::span<const Check> storage_checks()
{
    return checks;
}

} // namespace opsrunbook::health
