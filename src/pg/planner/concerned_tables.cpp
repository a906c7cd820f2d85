#include "pg/planner/concerned_tables.hpp"
#include "pg/compat.hpp"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace opsrunbook::pg {

namespace {

Oid *tables = nullptr;
size_t count = 0, room = 0;

void add(Oid table)
{
    if (is_concerned_table(table))
        return;
    if (count == room) {
        const size_t more = room ? room * 2 : 16;
        tables = static_cast<Oid *>(tables ? repalloc(tables, more * sizeof(Oid))
                                           : MemoryContextAlloc(TopMemoryContext, more * sizeof(Oid)));
        room = more;
    }
    tables[count++] = table;
}

void add_parents(::Relation inherits, Oid child)
{
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(child));
    SysScanDesc const scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan)))
        add(reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->inhparent);
    systable_endscan(scan);
}

// A function of a user's, written in SQL, may be replaced by its query, on whatever tables.
bool may_be_inlined(const RangeTblEntry *entry)
{
    for (int i = 0; i < list_length(entry->functions); ++i) {
        const auto *const function = static_cast<const RangeTblFunction *>(list_nth(entry->functions, i));
        if (IsA(function->funcexpr, FuncExpr) &&
            reinterpret_cast<const FuncExpr *>(function->funcexpr)->funcid >= FirstNormalObjectId)
            return true;
    }
    return false;
}

bool concerns(const RangeTblEntry *entry)
{
    if (entry->rtekind == RTE_RELATION)
        return is_concerned_table(entry->relid);
    if (entry->rtekind == RTE_FUNCTION)
        return may_be_inlined(entry);
    return entry->rtekind == RTE_SUBQUERY && may_be_concerned(entry->subquery);
}

bool look_at(Node *node, void *)
{
    if (!node)
        return false;
    if (IsA(node, Query))
        return may_be_concerned(reinterpret_cast<Query *>(node));
    return compat::walk_expression(node, look_at, nullptr);
}

} // namespace

void forget_concerned_tables()
{
    count = 0;
}

void add_concerned_tables(Oid index)
{
    const Oid own = IndexGetRelation(index, true);
    if (!OidIsValid(own) || is_concerned_table(own))
        return;
    size_t next = count;
    add(own);
    ::Relation const inherits = table_open(InheritsRelationId, AccessShareLock);
    for (; next < count; ++next)
        add_parents(inherits, tables[next]);
    table_close(inherits, AccessShareLock);
}

bool is_concerned_table(Oid table)
{
    for (size_t i = 0; i < count; ++i)
        if (tables[i] == table)
            return true;
    return false;
}

bool may_be_concerned(Query *query)
{
    check_stack_depth();
    for (int i = 0; i < list_length(query->rtable); ++i)
        if (concerns(static_cast<const RangeTblEntry *>(list_nth(query->rtable, i))))
            return true;
    for (int i = 0; i < list_length(query->cteList); ++i)
        if (look_at(static_cast<const CommonTableExpr *>(list_nth(query->cteList, i))->ctequery, nullptr))
            return true;
    return query->hasSubLinks &&
           compat::walk_query(query, look_at, nullptr, QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES);
}

} // namespace opsrunbook::pg
