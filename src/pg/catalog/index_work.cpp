// Which of the invalid indexes are invalid for the moment only.
//
// REINDEX CONCURRENTLY and DROP INDEX CONCURRENTLY hold ShareUpdateExclusiveLock on every index they touch,
// old and new, of the table and of its TOAST table, from before it becomes invalid until it is gone or valid;
// what works without CONCURRENTLY holds ACCESS EXCLUSIVE.  CREATE INDEX CONCURRENTLY keeps a lock on the
// table alone, as VACUUM does, but reports its progress.  What ended between the pass and the look at the
// locks is recognised by a second look at pg_index, after that.
#include "pg/catalog/index_work.hpp"

#include "pg/database.hpp"

namespace opsrunbook::pg {

namespace {

using base::Value;
using observed::Index;

observed::OidMap first_column(const Result &rows)
{
    observed::OidMap oids;
    for (size_t r = 0; r < rows.size(); ++r)
        oids.emplace(static_cast<observed::Oid>(rows.at(r, size_t{0}).integer()), 1);
    return oids;
}

} // namespace

void mark_index_work(observed::Relations &relations)
{
    std::vector<Index *> invalid;
    Value::Integers oids;
    for (Index &index : relations.indexes)
        if (index.relation.kind == 'i' && !(index.valid && index.ready && index.live)) {
            invalid.push_back(&index);
            oids.push_back(index.relation.oid);
        }
    if (invalid.empty())
        return;
    query("SELECT pg_stat_clear_snapshot()");
    const observed::OidMap in_work = first_column(query_latest(
        "SELECT relation FROM pg_locks WHERE locktype = 'relation'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND mode IN ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')"
        " AND pid IS DISTINCT FROM pg_backend_pid()"
        " AND relation = ANY ($1::int8[]::oid[])"
        " UNION SELECT indexrelid FROM pg_index JOIN pg_stat_progress_create_index ON relid = indrelid"
        " WHERE datname = current_database() AND indexrelid = ANY ($1::int8[]::oid[])",
        {oids}));
    const observed::OidMap still =
        first_column(query_latest("SELECT indexrelid FROM pg_index WHERE indexrelid = ANY ($1::int8[]::oid[])"
                                  " AND NOT (indisvalid AND indisready AND indislive)",
                                  {oids}));
    for (Index *index : invalid)
        index->in_work = in_work.contains(index->relation.oid) || !still.contains(index->relation.oid);
}

} // namespace opsrunbook::pg
