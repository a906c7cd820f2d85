// Indexes that are broken, doubled, missing under a foreign key, or never used.
#include "health/checks/checks.hpp"

#include <algorithm>
#include <cctype>

#include "advice/index_usage/verdicts.hpp"
#include "advice/indexes/foreign_keys.hpp"
#include "advice/indexes/identity.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::size_text;
using observed::Index;

constexpr double megabyte = 1 << 20;

// REINDEX CONCURRENTLY's temporary names, which may end in a number: t_key_ccnew, t_key_ccold1.
bool has_suffix(const char *name, std::string_view suffix)
{
    std::string_view text(name);
    while (!text.empty() && std::isdigit(static_cast<unsigned char>(text.back())))
        text.remove_suffix(1);
    return text.ends_with(suffix);
}

void invalid_indexes(const Observations &seen, Judge &judge)
{
    if (seen.server.in_recovery) // which of them are being built, only the primary knows
        return judge.not_applicable("an index that is built on the primary is invalid here until it is done");
    for (const Index &index : seen.relations.indexes) {
        if ((index.valid && index.ready && index.live) || index.relation.kind == 'I' || index.in_work)
            continue;
        const std::string name = seen.relations.name(index.relation);
        const bool fresh = has_suffix(index.relation.name, "_ccnew");
        const bool leftover = fresh || has_suffix(index.relation.name, "_ccold") || !index.live;
        const char *const what =
            fresh ? "is what an interrupted REINDEX CONCURRENTLY was building; the index it stood for is "
                    "still there: drop this one and start again"
            : leftover
                ? "was replaced or is being dropped, and what should have dropped it did not finish: drop it"
                : "is invalid: every write keeps it up, no query uses it";
        Finding &finding = judge.found(Status::warning, name, format("index %s %s", name.c_str(), what));
        finding.evidence.add("valid", index.valid).add("ready", index.ready).add("live", index.live);
        if (leftover) {
            finding.fix = advice::drop_command(seen.relations, index);
            finding.drops_index = index.relation.oid;
        }
        else
            finding.fix = format("REINDEX INDEX CONCURRENTLY %s;", name.c_str());
    }
    judge.fine("every index is valid, or being built or dropped right now");
}

void duplicate_indexes(const Observations &seen, Judge &judge)
{
    for (const advice::Redundant &pair : advice::redundant_indexes(seen.relations)) {
        const std::string name = seen.relations.name(pair.index->relation);
        const std::string keeper = seen.relations.name(pair.keeper->relation);
        Finding &finding = judge.found(
            Status::warning, name,
            format(pair.identical ? "index %s is the same as %s" : "index %s does nothing that %s cannot do",
                   name.c_str(), keeper.c_str()));
        finding.evidence.add("keeper", keeper)
            .add("identical", pair.identical)
            .add("bytes", int64_t{8192} * pair.index->relation.pages)
            .add("idx_scan", pair.index->scans);
        finding.fix = advice::drop_command(seen.relations, *pair.index);
        finding.drops_index = pair.index->relation.oid;
    }
    judge.fine("no index does what another one of its table does");
}

void unindexed_foreign_keys(const Observations &seen, Judge &judge)
{
    int64_t small = 0;
    for (const observed::Constraint *key : advice::unindexed_foreign_keys(seen.relations)) {
        const observed::Table &table = *seen.relations.table(key->table);
        const auto file = seen.file_bytes.find(key->table);
        const int64_t bytes =
            file != seen.file_bytes.end() ? file->second : int64_t{8192} * table.relation.pages;
        const std::string name = seen.relations.name(table.relation);
        const std::string constraint = base::quote_identifier(key->name);
        Finding *finding = judge.measure(
            static_cast<double>(bytes) / megabyte, name,
            format(
                "foreign key %s of %s (%s) has no index: each DELETE or key UPDATE of a referenced row reads "
                "the whole table",
                constraint.c_str(), name.c_str(), size_text(bytes).c_str()));
        if (!finding) {
            ++small;
            continue;
        }
        const observed::Table *parent = seen.relations.table(key->referenced_table);
        finding->evidence.add("constraint", key->name).add("bytes", bytes);
        if (parent)
            finding->evidence.add("referenced_table", seen.relations.name(parent->relation))
                .add("referenced_deletes", parent->counters.deleted)
                .add("referenced_updates", parent->counters.updated);
        const auto columns = seen.constraint_columns.find(key->oid);
        finding->fix =
            columns == seen.constraint_columns.end()
                ? format("-- CREATE INDEX CONCURRENTLY on the columns of %s of table %s", constraint.c_str(),
                         name.c_str())
                : format("CREATE INDEX CONCURRENTLY ON %s (%s);", name.c_str(), columns->second.c_str());
    }
    judge.fine(small == 0 ? "every foreign key has an index"
                          : format("%s without an index, of small tables",
                                   base::plural(small, "foreign key").c_str()));
}

void unused_indexes(const Observations &seen, Judge &judge)
{
    std::vector<const Index *> among;
    for (const Index &index : seen.relations.indexes)
        if (seen.index_usage.past.contains(index.relation.oid))
            among.push_back(&index);
    int64_t waiting = 0;
    for (const advice::UsageVerdict &verdict :
         advice::unused_indexes(seen.relations, seen.index_usage, among)) {
        const Index &index = *verdict.index;
        const auto file = seen.file_bytes.find(index.relation.oid);
        const int64_t bytes =
            file != seen.file_bytes.end() ? file->second : int64_t{8192} * index.relation.pages;
        if (!verdict.droppable) {
            const bool part = seen.index_usage.parents.contains(index.relation.oid); // dropped with the whole
            waiting += !part;
            continue;
        }
        const std::string name = seen.relations.name(index.relation);
        const std::string message =
            format("index %s (%s): %s", name.c_str(), size_text(bytes).c_str(), verdict.reason.c_str());
        Finding *finding = judge.measure(static_cast<double>(bytes) / megabyte, name, message);
        // Half a percent of a small database is worth a word too, where nobody switched the check off.
        if (!finding && judge.threshold(Status::warning, name) && seen.server.database_bytes &&
            bytes >= *seen.server.database_bytes / 200)
            finding = &judge.found(Status::warning, name, message);
        if (!finding)
            continue;
        finding->evidence.add("bytes", bytes)
            .add("observed_days", (seen.index_usage.now - *verdict.quiet_since).seconds() / 86400);
        finding->fix = advice::drop_command(seen.relations, index);
        finding->drops_index = index.relation.oid;
    }
    judge.fine(waiting == 0 ? "no large index is unused"
                            : format("%s without a scan may not be dropped (yet): see get_unused_indexes()",
                                     base::plural(waiting, "large index").c_str()));
}

constexpr Check checks[] = {
    {
        .id = "invalid_indexes",
        .title = "invalid indexes",
        .category = Category::indexes,
        .points = 40,
        .explanation =
            "Indexes that a failed CREATE INDEX CONCURRENTLY, REINDEX CONCURRENTLY or DROP INDEX "
            "CONCURRENTLY left behind: they cost at every write and serve no query. Those being built, "
            "rebuilt or dropped right now and partitioned indexes that wait for their parts are not meant.",
        .source = "not (pg_index.indisvalid and indisready and indislive), without "
                  "pg_stat_progress_create_index and those that pg_locks shows somebody at work on",
        .evaluate = invalid_indexes,
    },
    {
        .id = "duplicate_indexes",
        .title = "duplicate and redundant indexes",
        .category = Category::indexes,
        .points = 20,
        .explanation =
            "Indexes that are the same as another one of their table, or non-unique btrees whose columns "
            "are the first ones of another btree: they cost space and time at every write. One that a "
            "constraint or the replica identity needs is never proposed.",
        .source = "pg_index: indkey, indclass, indcollation, indoption, indexprs, indpred, indisunique, "
                  "indnullsnotdistinct, indnkeyatts; pg_class.relam",
        .evaluate = duplicate_indexes,
    },
    {
        .id = "unindexed_foreign_keys",
        .title = "foreign keys without an index",
        .category = Category::indexes,
        .points = 20,
        .metric = "child_table_mb",
        .unit = "MB",
        .warning = 10,
        .critical = 1000,
        .explanation =
            "Foreign keys whose columns are not the first columns, in any order, of a valid index over "
            "all rows: deleting a referenced row reads the whole referencing table and holds its locks "
            "for that long. The value is the size of the referencing table.",
        .source = "pg_constraint.conkey against the first columns of pg_index.indkey",
        .evaluate = unindexed_foreign_keys,
    },
    {
        .id = "unused_indexes",
        .title = "unused indexes",
        .category = Category::indexes,
        .points = 10,
        .metric = "unused_index_mb",
        .unit = "MB",
        .warning = 10,
        .explanation =
            "Indexes above the threshold, or of half a percent of the database and at least 1 MB, that "
            "nothing scanned for 35 days or more and that no constraint, replica identity, foreign key "
            "or other partition needs.",
        .source = "pg_stat_user_indexes.idx_scan and last_idx_scan since pg_stat_database.stats_reset, "
                  "opsrunbook.index_usage_history",
        .evaluate = unused_indexes,
    },
};

} // namespace

std::span<const Check> indexes_checks()
{
    return checks;
}

} // namespace opsrunbook::health
