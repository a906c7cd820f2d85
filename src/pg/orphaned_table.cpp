#include "pg/orphaned_table.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/syscache.h"
}

namespace opsrunbook::pg {

namespace {

// Server regime.
bool is_orphan(Oid table)
{
    HeapTuple const tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
    if (!HeapTupleIsValid(tuple))
        return false;
    const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    const bool orphan = form->relpersistence == RELPERSISTENCE_TEMP &&
                        checkTempNamespaceStatus(form->relnamespace) == TEMP_NAMESPACE_IDLE;
    ReleaseSysCache(tuple);
    return orphan;
}

// Server regime.
const char *drop_if_orphan(Oid table)
{
    if (!ConditionalLockRelationOid(table, AccessExclusiveLock))
        return "another session is at it";
    if (!is_orphan(table))
        return "it is gone, or a session owns it again";
    if (!compat::owns_relation(table))
        return "only its owner may drop it";
    const ObjectAddress object = {RelationRelationId, table, 0};
    performDeletion(&object, DROP_CASCADE,
                    PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY | PERFORM_DELETION_SKIP_EXTENSIONS);
    return "";
}

} // namespace

std::string drop_orphaned_table(unsigned table)
{
    return call([table] { return drop_if_orphan(table); });
}

} // namespace opsrunbook::pg
