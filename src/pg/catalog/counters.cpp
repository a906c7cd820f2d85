#include "pg/catalog/counters.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"

#include <span>

extern "C" {
#include "catalog/pg_namespace.h"
#include "catalog/pg_tablespace.h"
#include "utils/pgstat_internal.h"
}

namespace opsrunbook::pg {

namespace {

using observed::TableCounters;

constexpr size_t batch = 512;

void copy_counters(const PgStat_StatTabEntry *entry, observed::Table &table)
{
    TableCounters &out = table.counters;
    out.seq_scans = entry->numscans;
    out.seq_rows_read = entry->tuples_returned;
    out.index_rows_fetched = entry->tuples_fetched;
    out.inserted = entry->tuples_inserted;
    out.updated = entry->tuples_updated;
    out.deleted = entry->tuples_deleted;
    out.hot_updated = entry->tuples_hot_updated;
    out.moved = compat::moved_rows(*entry);
    out.live_rows = compat::live_rows(*entry);
    out.dead_rows = compat::dead_rows(*entry);
    out.modified_since_analyze = compat::modified_since_analyze(*entry);
    out.inserted_since_vacuum = compat::inserted_since_vacuum(*entry);
    out.blocks_read = entry->blocks_fetched - entry->blocks_hit;
    out.blocks_hit = entry->blocks_hit;
    out.vacuums = entry->vacuum_count;
    out.autovacuums = compat::autovacuums(*entry);
    out.analyzes = entry->analyze_count;
    out.autoanalyzes = compat::autoanalyzes(*entry);
    out.last_vacuum = {compat::last_vacuum(*entry)};
    out.last_autovacuum = {compat::last_autovacuum(*entry)};
    out.last_analyze = {compat::last_analyze(*entry)};
    out.last_autoanalyze = {compat::last_autoanalyze(*entry)};
}

void copy_counters(const PgStat_StatTabEntry *entry, observed::Index &index)
{
    index.scans = entry->numscans;
    index.rows_read = entry->tuples_returned;
    index.rows_fetched = entry->tuples_fetched;
    index.last_scan = {compat::last_scan(*entry)};
    index.blocks_read = entry->blocks_fetched - entry->blocks_hit;
    index.blocks_hit = entry->blocks_hit;
}

void copy_counters(const PgStat_StatTabEntry *entry, RelationUse &use)
{
    use.blocks = entry->blocks_fetched;
}

// Server regime.  pgstat_fetch_entry() would leave a copy and a reference of each entry in this backend, for
// hundreds of thousands of relations; we look once at each, so we find it in the shared table itself and copy
// what we want under its lock.  Nothing in between can fail, and the locks are held for the time of the copy.
template <class Record> void read_counters(Record &record)
{
    const bool shared = record.relation.tablespace == GLOBALTABLESPACE_OID;
    const PgStat_HashKey key = {PGSTAT_KIND_RELATION, shared ? InvalidOid : MyDatabaseId,
                                record.relation.oid};
    PgStatShared_HashEntry *const found =
        static_cast<PgStatShared_HashEntry *>(dshash_find(pgStatLocal.shared_hash, &key, false));
    if (found == nullptr)
        return;
    if (!found->dropped) {
        PgStatShared_Relation *const entry =
            static_cast<PgStatShared_Relation *>(dsa_get_address(pgStatLocal.dsa, found->body));
        LWLockAcquire(&entry->header.lock, LW_SHARED);
        copy_counters(&entry->stats, record);
        LWLockRelease(&entry->header.lock);
    }
    dshash_release_lock(pgStatLocal.shared_hash, found);
}

// Nobody asks how often the index of a TOAST table is used: the database's own code always does.
template <class Record> bool counts(const Record &)
{
    return true;
}

bool counts(const observed::Index &index)
{
    return index.relation.schema != PG_TOAST_NAMESPACE;
}

template <class Record> void read_all(std::vector<Record> &records)
{
    for (size_t from = 0; from < records.size(); from += batch) {
        const std::span<Record> chunk(records.data() + from, std::min(batch, records.size() - from));
        call([&chunk] {
            for (Record &record : chunk)
                if (counts(record))
                    read_counters(record);
            CHECK_FOR_INTERRUPTS();
        });
    }
}

} // namespace

void read_relation_uses(std::vector<RelationUse> &uses)
{
    read_all(uses);
}

void read_table_counters(std::vector<observed::Table> &tables)
{
    read_all(tables);
}

void read_index_counters(std::vector<observed::Index> &indexes)
{
    read_all(indexes);
}

} // namespace opsrunbook::pg
