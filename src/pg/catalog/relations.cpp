#include "pg/catalog/relations.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"

#include <algorithm>
#include <span>

#include <sys/stat.h>

extern "C" {
#include "access/multixact.h"
#include "access/reloptions.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_tablespace.h"
#include "catalog/namespace.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
}

namespace opsrunbook::pg {

namespace {

using namespace observed;

constexpr size_t batch = 512;

// A sequential scan of one catalog, read in batches so that each batch is one crossing of the boundary.
class CatalogScan {
public:
    explicit CatalogScan(Oid catalog)
    {
        call([this, catalog] {
            relation = table_open(catalog, AccessShareLock);
            scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
        });
    }
    // Fills `out` by `read(tuple, descriptor, record)`, which says whether the record counts.  Server regime
    // inside.
    template <class Record, class Read> size_t next(std::span<Record> out, Read &read)
    {
        return call([&] {
            size_t filled = 0;
            while (filled < out.size()) {
                HeapTuple const tuple = systable_getnext(scan);
                if (!HeapTupleIsValid(tuple)) {
                    finished = true;
                    break;
                }
                if (read(tuple, RelationGetDescr(relation), out[filled]))
                    ++filled;
            }
            CHECK_FOR_INTERRUPTS();
            return filled;
        });
    }
    bool done() const { return finished; }
    void end()
    {
        call([this] {
            systable_endscan(scan);
            table_close(relation, AccessShareLock);
        });
    }

private:
    ::Relation relation = nullptr;
    SysScanDesc scan = nullptr;
    bool finished = false;
};

// Reads a whole catalog: each batch of records is handed to `take` (C++ regime).
template <class Record, class Read, class Take> void scan_catalog(Oid catalog, Read read, Take take)
{
    std::vector<Record> records(batch);
    CatalogScan scan(catalog);
    while (!scan.done()) {
        const size_t filled = scan.next(std::span<Record>(records), read);
        for (size_t i = 0; i < filled; ++i)
            take(records[i]);
    }
    scan.end();
}

struct ClassRecord {
    observed::Relation relation;
    AutoVacOpts vacuum;
    bool has_options;
};

int32_t age_of(TransactionId now, TransactionId then)
{
    return TransactionIdIsNormal(then) ? static_cast<int32_t>(now - then) : observed::Relation::no_age;
}

bool read_class(HeapTuple tuple, TupleDesc shape, ClassRecord &out, TransactionId now, MultiXactId multi_now)
{
    const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    if (form->relkind == RELKIND_COMPOSITE_TYPE || form->relkind == RELKIND_VIEW)
        return false;
    observed::Relation &relation = out.relation;
    relation.oid = form->oid;
    relation.schema = form->relnamespace;
    relation.owner = form->relowner;
    relation.toast = form->reltoastrelid;
    relation.tablespace = form->reltablespace;
    relation.access_method = form->relam;
    relation.filenode = form->relfilenode;
    memcpy(relation.name, NameStr(form->relname), NAMEDATALEN);
    relation.kind = form->relkind;
    relation.persistence = form->relpersistence;
    relation.replica_identity = form->relreplident;
    relation.is_partition = form->relispartition;
    relation.has_index = form->relhasindex;
    relation.row_security = form->relrowsecurity;
    relation.rows = form->reltuples;
    relation.pages = form->relpages;
    relation.all_visible_pages = form->relallvisible;
    relation.xid_age = age_of(now, form->relfrozenxid);
    relation.mxid_age = MultiXactIdIsValid(form->relminmxid)
                            ? static_cast<int32_t>(multi_now - form->relminmxid)
                            : observed::Relation::no_age;
    relation.options = -1;
    relation.fillfactor = 0;
    out.has_options = false;

    bool none;
    heap_getattr(tuple, Anum_pg_class_reloptions, shape, &none);
    const bool heap = form->relkind == RELKIND_RELATION || form->relkind == RELKIND_MATVIEW ||
                      form->relkind == RELKIND_TOASTVALUE;
    if (!none && heap) {
        StdRdOptions *const options =
            reinterpret_cast<StdRdOptions *>(extractRelOptions(tuple, shape, nullptr));
        if (options != nullptr) {
            out.has_options = true;
            out.vacuum = options->autovacuum;
            relation.fillfactor = static_cast<int16_t>(options->fillfactor);
            pfree(options);
        }
    }
    return true;
}

template <class T> std::optional<T> set_or_nothing(T value, T unset)
{
    return value <= unset ? std::nullopt : std::optional<T>(value);
}

VacuumOptions options_of(const AutoVacOpts &from)
{
    VacuumOptions options;
    options.enabled = from.enabled;
    options.vacuum_threshold = set_or_nothing(from.vacuum_threshold, -1);
    options.vacuum_max_threshold = set_or_nothing(compat::vacuum_max_threshold(from), -2);
    options.insert_threshold = set_or_nothing(from.vacuum_ins_threshold, -2);
    options.analyze_threshold = set_or_nothing(from.analyze_threshold, -1);
    options.freeze_max_age = set_or_nothing(from.freeze_max_age, -1);
    options.multixact_freeze_max_age = set_or_nothing(from.multixact_freeze_max_age, -1);
    options.vacuum_scale_factor = set_or_nothing(from.vacuum_scale_factor, -1.0);
    options.insert_scale_factor = set_or_nothing(from.vacuum_ins_scale_factor, -1.0);
    options.analyze_scale_factor = set_or_nothing(from.analyze_scale_factor, -1.0);
    return options;
}

// FNV-1a over a node tree's text, without the ":location N" fields that tell where the user typed it.
uint64_t tree_hash(const char *tree)
{
    constexpr const char *location = " :location ";
    const size_t length = strlen(location);
    uint64_t hash = 14695981039346656037ull;
    while (*tree != '\0') {
        if (strncmp(tree, location, length) == 0) {
            tree += length;
            while (*tree != '\0' && *tree != ' ' && *tree != '}')
                ++tree;
            continue;
        }
        hash = (hash ^ static_cast<unsigned char>(*tree++)) * 1099511628211ull;
    }
    return hash;
}

uint64_t attribute_hash(HeapTuple tuple, int attribute, TupleDesc shape)
{
    bool none;
    const Datum datum = heap_getattr(tuple, attribute, shape, &none);
    if (none)
        return 0;
    char *const tree = TextDatumGetCString(datum);
    const uint64_t hash = tree_hash(tree);
    pfree(tree);
    return hash;
}

struct IndexRecord {
    Oid oid, table;
    int16_t columns, key_columns;
    uint64_t expressions_hash, predicate_hash;
    bool unique, primary, exclusion, nulls_not_distinct, valid, ready, live, replica_identity;
    IndexColumn column[INDEX_MAX_KEYS];
};

bool read_index(HeapTuple tuple, TupleDesc shape, IndexRecord &out)
{
    const Form_pg_index form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    out.oid = form->indexrelid;
    out.table = form->indrelid;
    out.columns = form->indnatts;
    out.key_columns = form->indnkeyatts;
    out.unique = form->indisunique;
    out.primary = form->indisprimary;
    out.exclusion = form->indisexclusion;
    out.nulls_not_distinct = form->indnullsnotdistinct;
    out.valid = form->indisvalid;
    out.ready = form->indisready;
    out.live = form->indislive;
    out.replica_identity = form->indisreplident;
    bool none;
    const oidvector *const collations = reinterpret_cast<oidvector *>(
        DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indcollation, shape, &none)));
    const oidvector *const classes = reinterpret_cast<oidvector *>(
        DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indclass, shape, &none)));
    const int2vector *const options = reinterpret_cast<int2vector *>(
        DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indoption, shape, &none)));
    for (int i = 0; i < form->indnatts && i < INDEX_MAX_KEYS; ++i) {
        const bool key = i < form->indnkeyatts;
        out.column[i].attribute = form->indkey.values[i];
        out.column[i].collation = key ? collations->values[i] : InvalidOid;
        out.column[i].operator_class = key ? classes->values[i] : InvalidOid;
        out.column[i].options = key ? options->values[i] : static_cast<int16_t>(0);
    }
    out.expressions_hash = attribute_hash(tuple, Anum_pg_index_indexprs, shape);
    out.predicate_hash = attribute_hash(tuple, Anum_pg_index_indpred, shape);
    return true;
}

bool read_constraint(HeapTuple tuple, TupleDesc shape, observed::Constraint &out)
{
    const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
    if (!OidIsValid(form->conrelid))
        return false;
    out.oid = form->oid;
    out.table = form->conrelid;
    out.referenced_table = form->confrelid;
    out.index = form->conindid;
    memcpy(out.name, NameStr(form->conname), NAMEDATALEN);
    out.kind = form->contype;
    out.delete_action = form->confdeltype;
    out.validated = form->convalidated;
    out.inherited = OidIsValid(form->conparentid);
    out.column_count = 0;
    bool none;
    const Datum keys = heap_getattr(tuple, Anum_pg_constraint_conkey, shape, &none);
    if (!none) {
        ArrayType *const array = DatumGetArrayTypeP(keys);
        const int count = ARR_NDIM(array) == 1 ? ARR_DIMS(array)[0] : 0;
        const int16 *const numbers = reinterpret_cast<int16 *>(ARR_DATA_PTR(array));
        for (int i = 0; i < count && i < INDEX_MAX_KEYS; ++i)
            out.columns[out.column_count++] = numbers[i];
    }
    return true;
}

struct SchemaRecord {
    Oid oid, owner;
    char name[NAMEDATALEN];
};

bool read_schema(HeapTuple tuple, TupleDesc, SchemaRecord &out)
{
    const Form_pg_namespace form = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple));
    out.oid = form->oid;
    out.owner = form->nspowner;
    memcpy(out.name, NameStr(form->nspname), NAMEDATALEN);
    return true;
}

Schema schema_of(const SchemaRecord &record)
{
    Schema schema;
    schema.oid = record.oid;
    schema.owner = record.owner;
    schema.name = record.name;
    schema.temporary = schema.name.starts_with("pg_temp_") || schema.name.starts_with("pg_toast_temp_");
    schema.system =
        schema.name == "pg_catalog" || schema.name == "information_schema" || schema.name == "pg_toast";
    return schema;
}

// Server regime.  The server's snapshot of statistics would keep a copy of every entry until the end of the
// transaction; reading each entry once needs none.
void read_counters(Table &table, bool shared)
{
    const PgStat_StatTabEntry *const entry = pgstat_fetch_stat_tabentry_ext(shared, table.relation.oid);
    if (entry == nullptr)
        return;
    TableCounters &out = table.counters;
    out.seq_scans = entry->numscans;
    out.seq_rows_read = entry->tuples_returned;
    out.index_rows_fetched = entry->tuples_fetched;
    out.inserted = entry->tuples_inserted;
    out.updated = entry->tuples_updated;
    out.deleted = entry->tuples_deleted;
    out.hot_updated = entry->tuples_hot_updated;
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

void read_counters(observed::Index &index)
{
    const PgStat_StatTabEntry *const entry = pgstat_fetch_stat_tabentry_ext(false, index.relation.oid);
    if (entry == nullptr)
        return;
    index.scans = entry->numscans;
    index.rows_read = entry->tuples_returned;
    index.rows_fetched = entry->tuples_fetched;
    index.last_scan = {compat::last_scan(*entry)};
    index.blocks_read = entry->blocks_fetched - entry->blocks_hit;
    index.blocks_hit = entry->blocks_hit;
}

// The consistency of statistics within a transaction is the caller's choice and is put back; on an error the
// handler below call() would skip that, so the old value is kept by KeepConsistency's destructor, which calls
// nothing.
struct KeepConsistency {
    const int before = pgstat_fetch_consistency;
    KeepConsistency() { pgstat_fetch_consistency = PGSTAT_FETCH_CONSISTENCY_NONE; }
    KeepConsistency(const KeepConsistency &) = delete;
    KeepConsistency &operator=(const KeepConsistency &) = delete;
    ~KeepConsistency() { pgstat_fetch_consistency = before; }
};

// Entries are palloc'd one by one: each chunk's memory goes at the chunk's end.
template <class Record, class Read> void read_statistics(std::vector<Record> &records, Read read)
{
    const KeepConsistency keep;
    for (size_t from = 0; from < records.size(); from += batch) {
        const std::span<Record> chunk(records.data() + from, std::min(batch, records.size() - from));
        call([&chunk, &read] {
            MemoryContext const memory =
                AllocSetContextCreate(CurrentMemoryContext, "opsrunbook statistics", ALLOCSET_DEFAULT_SIZES);
            MemoryContext const before = MemoryContextSwitchTo(memory);
            for (Record &record : chunk)
                read(record);
            MemoryContextSwitchTo(before);
            MemoryContextDelete(memory);
            CHECK_FOR_INTERRUPTS();
        });
    }
}

observed::Index index_of(const IndexRecord &record, const observed::Relation &relation,
                         std::vector<IndexColumn> &columns)
{
    observed::Index index = {};
    index.relation = relation;
    index.table = record.table;
    index.columns = record.columns;
    index.key_columns = record.key_columns;
    index.expressions_hash = record.expressions_hash;
    index.predicate_hash = record.predicate_hash;
    index.unique = record.unique;
    index.primary = record.primary;
    index.exclusion = record.exclusion;
    index.nulls_not_distinct = record.nulls_not_distinct;
    index.valid = record.valid;
    index.ready = record.ready;
    index.live = record.live;
    index.replica_identity = record.replica_identity;
    index.first_column = static_cast<int32_t>(columns.size());
    columns.insert(columns.end(), record.column, record.column + record.columns);
    return index;
}

} // namespace

Relations read_relations()
{
    Relations out;
    scan_catalog<SchemaRecord>(NamespaceRelationId, read_schema, [&out](const SchemaRecord &record) {
        out.schemas.push_back(schema_of(record));
    });

    const auto [now, multi_now] = call([] {
        struct Horizons {
            TransactionId xid;
            MultiXactId multi;
        };
        return Horizons{XidFromFullTransactionId(ReadNextFullTransactionId()), ReadNextMultiXactId()};
    });

    std::vector<observed::Relation> index_relations;
    std::unordered_map<Oid, uint32_t> index_relation_by_oid;
    scan_catalog<ClassRecord>(
        RelationRelationId,
        [now, multi_now](HeapTuple tuple, TupleDesc shape, ClassRecord &record) {
            return read_class(tuple, shape, record, now, multi_now);
        },
        [&](ClassRecord &record) {
            observed::Relation &relation = record.relation;
            if (record.has_options) {
                relation.options = static_cast<int32_t>(out.options.size());
                out.options.push_back(options_of(record.vacuum));
            }
            if (relation.is_table())
                out.tables.push_back({relation, {}});
            else if (relation.kind == 'i' || relation.kind == 'I')
                index_relations.push_back(relation);
            else
                out.others.push_back(relation);
        });
    out.table_by_oid.reserve(out.tables.size());
    for (uint32_t i = 0; i < out.tables.size(); ++i) {
        out.table_by_oid.emplace(out.tables[i].relation.oid, i);
        if (out.tables[i].relation.toast != 0)
            out.toast_owner.emplace(out.tables[i].relation.toast, i);
    }
    index_relation_by_oid.reserve(index_relations.size());
    for (uint32_t i = 0; i < index_relations.size(); ++i)
        index_relation_by_oid.emplace(index_relations[i].oid, i);

    out.indexes.reserve(index_relations.size());
    scan_catalog<IndexRecord>(IndexRelationId, read_index, [&](const IndexRecord &record) {
        const auto found = index_relation_by_oid.find(record.oid);
        if (found != index_relation_by_oid.end())
            out.indexes.push_back(index_of(record, index_relations[found->second], out.index_columns));
    });
    scan_catalog<observed::Constraint>(
        ConstraintRelationId, read_constraint,
        [&out](const observed::Constraint &record) { out.constraints.push_back(record); });

    std::unordered_map<Oid, bool> constraint_indexes;
    for (const observed::Constraint &constraint : out.constraints)
        if (constraint.index != 0)
            constraint_indexes.emplace(constraint.index, true);
    read_statistics(out.tables, [](Table &table) {
        read_counters(table, table.relation.tablespace == GLOBALTABLESPACE_OID);
    });
    read_statistics(out.indexes, [](observed::Index &index) { read_counters(index); });
    for (observed::Index &index : out.indexes) {
        index.backs_constraint =
            index.primary || index.exclusion || constraint_indexes.contains(index.relation.oid);
        const auto table = out.table_by_oid.find(index.table);
        if (table != out.table_by_oid.end())
            out.tables[table->second].counters.index_scans += index.scans;
    }
    return out;
}

int64_t relation_file_bytes(const observed::Relation &relation)
{
    if (relation.filenode == 0)
        return 0;
    char path[MAXPGPATH];
    char *const buffer = path;
    call([&relation, buffer] {
        const Oid tablespace = relation.tablespace != 0 ? relation.tablespace : MyDatabaseTableSpace;
        compat::relation_path(buffer, MAXPGPATH,
                              tablespace == GLOBALTABLESPACE_OID ? InvalidOid : MyDatabaseId, tablespace,
                              relation.filenode);
    });
    int64_t bytes = 0;
    struct stat file;
    for (int segment = 0;; ++segment) {
        char name[MAXPGPATH + 16];
        if (segment == 0)
            strlcpy(name, path, sizeof name);
        else
            snprintf(name, sizeof name, "%s.%d", path, segment);
        if (stat(name, &file) != 0)
            return bytes;
        bytes += file.st_size;
        if (file.st_size < static_cast<int64_t>(RELSEG_SIZE) * BLCKSZ)
            return bytes;
    }
}

int64_t database_bytes(const Relations &relations)
{
    int64_t bytes = 0;
    const auto stale = [](const Table &table) {
        const TableCounters &counters = table.counters;
        return table.relation.rows < 0 || counters.modified_since_analyze > 0 ||
               counters.inserted_since_vacuum > 0;
    };
    const auto size = [](const observed::Relation &relation, bool changed) {
        return changed ? relation_file_bytes(relation) : static_cast<int64_t>(relation.pages) * BLCKSZ;
    };
    for (const Table &table : relations.tables)
        bytes += size(table.relation, stale(table));
    for (const observed::Index &index : relations.indexes) {
        const Table *table = relations.table(index.table);
        bytes += size(index.relation, table != nullptr && stale(*table));
    }
    return bytes;
}

} // namespace opsrunbook::pg
