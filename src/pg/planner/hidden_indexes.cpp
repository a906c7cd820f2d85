#include "pg/planner/hidden_indexes.hpp"
#include "pg/boundary.hpp"
#include "pg/planner/concerned_tables.hpp"
#include "pg/planner/index_trial_hooks.hpp"

extern "C" {
#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace opsrunbook::pg {

namespace {

// The cache is dropped whenever the server says that one of these relations has changed: the trials' table
// (its writers say so), a hidden index (renamed, rebuilt, gone) or its table (attached, detached), and any
// relation at all while the trials' table does not exist or a trial names an index that does not.
bool loaded = false;
bool registered = false;
uint64_t changes = 0;
Oid trials = InvalidOid;
bool unresolved = false;
Oid *hidden = nullptr;
size_t hidden_count = 0, hidden_room = 0;

void relation_changed(Datum, Oid relation)
{
    if (!OidIsValid(relation) || !OidIsValid(trials) || unresolved || relation == trials ||
        is_hidden_index(relation) || is_concerned_table(relation)) {
        loaded = false;
        ++changes;
    }
}

void hide(Oid index)
{
    if (hidden_count == hidden_room) {
        const size_t room = hidden_room ? hidden_room * 2 : 16;
        hidden = static_cast<Oid *>(hidden ? repalloc(hidden, room * sizeof(Oid))
                                           : MemoryContextAlloc(TopMemoryContext, room * sizeof(Oid)));
        hidden_room = room;
    }
    hidden[hidden_count++] = index;
    add_concerned_tables(index);
}

struct Columns {
    AttrNumber schema, index, state;
};

AttrNumber text_column(::Relation table, const char *name)
{
    const AttrNumber number = get_attnum(RelationGetRelid(table), name);
    return number > 0 && get_atttype(RelationGetRelid(table), number) == TEXTOID
               ? number
               : AttrNumber{InvalidAttrNumber};
}

const char *text_of(HeapTuple tuple, AttrNumber column, TupleDesc shape)
{
    bool null;
    const Datum datum = heap_getattr(tuple, column, shape, &null);
    return null ? "" : TextDatumGetCString(datum);
}

// A trial names its index, for REINDEX CONCURRENTLY and a restored dump change its OID.
void read_row(HeapTuple tuple, const Columns &columns, TupleDesc shape)
{
    if (strcmp(text_of(tuple, columns.state, shape), "trial") != 0)
        return;
    const Oid schema = get_namespace_oid(text_of(tuple, columns.schema, shape), true);
    const Oid index =
        OidIsValid(schema) ? get_relname_relid(text_of(tuple, columns.index, shape), schema) : InvalidOid;
    if (OidIsValid(index) && get_rel_relkind(index) == RELKIND_INDEX)
        hide(index);
    else
        unresolved = true;
}

void read_table(::Relation table)
{
    const Columns columns = {text_column(table, "schema_name"), text_column(table, "index_name"),
                             text_column(table, "state")};
    // Somebody's own table of that name hides nothing.
    if (!columns.schema || !columns.index || !columns.state || !superuser_arg(table->rd_rel->relowner))
        return;
    SysScanDesc const scan = systable_beginscan(table, InvalidOid, false, nullptr, 0, nullptr);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan)))
        read_row(tuple, columns, RelationGetDescr(table));
    systable_endscan(scan);
}

void load()
{
    if (!registered) {
        CacheRegisterRelcacheCallback(relation_changed, 0);
        registered = true;
    }
    const uint64_t before = changes;
    hidden_count = 0;
    forget_concerned_tables();
    unresolved = false;
    trials = InvalidOid;
    const Oid house = get_namespace_oid("opsrunbook", true);
    const Oid found = OidIsValid(house) ? get_relname_relid("index_trial", house) : InvalidOid;
    if (OidIsValid(found)) {
        // Planning never waits for us: while somebody drops or alters the extension, nothing is hidden.
        if (!ConditionalLockRelationOid(found, AccessShareLock))
            return;
        ::Relation const table = try_relation_open(found, NoLock);
        if (table) {
            if (table->rd_rel->relkind == RELKIND_RELATION)
                read_table(table);
            relation_close(table, NoLock);
            trials = found;
        }
        UnlockRelationOid(found, AccessShareLock);
    }
    loaded = before == changes;
}

} // namespace

bool any_hidden_index()
{
    // A standby hides nothing: it could not write down that a query needs an index back.
    if (!loaded && IsTransactionState() && OidIsValid(MyDatabaseId) && !IsBinaryUpgrade &&
        !RecoveryInProgress())
        load();
    return hidden_count > 0;
}

bool is_hidden_index(Oid index)
{
    for (size_t i = 0; i < hidden_count; ++i)
        if (hidden[i] == index)
            return true;
    return false;
}

void show_hidden_index(Oid index)
{
    for (size_t i = 0; i < hidden_count; ++i)
        if (hidden[i] == index)
            hidden[i--] = hidden[--hidden_count];
}

Oid hidden_indexes_table()
{
    return trials;
}

void index_trial_changed(unsigned index)
{
    call([index] {
        CacheInvalidateRelcacheByRelid(
            get_relname_relid("index_trial", get_namespace_oid("opsrunbook", false)));
        // Plans kept by sessions depend on the table, not on its indexes.
        const Oid table = IndexGetRelation(index, true);
        if (OidIsValid(table))
            CacheInvalidateRelcacheByRelid(table);
    });
}

} // namespace opsrunbook::pg
