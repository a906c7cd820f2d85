#pragma once
// Differences between server versions that the C++ code meets, each with the version that made it.  For
// src/pg only.

#include "pg/postgres.hpp"

extern "C" {
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "common/relpath.h"
#include "nodes/nodeFuncs.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/rel.h"
}

#if PG_VERSION_NUM < 150000
#error "opsrunbook needs PostgreSQL 15 or later"
#endif

namespace opsrunbook::pg::compat {

// 16 renamed the counters of a table's statistics, and added the time of the last scan and the updates that
// went to another page.
#if PG_VERSION_NUM >= 160000
inline int64_t live_rows(const PgStat_StatTabEntry &entry)
{
    return entry.live_tuples;
}
inline int64_t dead_rows(const PgStat_StatTabEntry &entry)
{
    return entry.dead_tuples;
}
inline int64_t modified_since_analyze(const PgStat_StatTabEntry &entry)
{
    return entry.mod_since_analyze;
}
inline int64_t inserted_since_vacuum(const PgStat_StatTabEntry &entry)
{
    return entry.ins_since_vacuum;
}
inline int64_t moved_rows(const PgStat_StatTabEntry &entry)
{
    return entry.tuples_newpage_updated;
}
inline TimestampTz last_scan(const PgStat_StatTabEntry &entry)
{
    return entry.lastscan;
}
inline TimestampTz last_vacuum(const PgStat_StatTabEntry &entry)
{
    return entry.last_vacuum_time;
}
inline TimestampTz last_autovacuum(const PgStat_StatTabEntry &entry)
{
    return entry.last_autovacuum_time;
}
inline TimestampTz last_analyze(const PgStat_StatTabEntry &entry)
{
    return entry.last_analyze_time;
}
inline TimestampTz last_autoanalyze(const PgStat_StatTabEntry &entry)
{
    return entry.last_autoanalyze_time;
}
inline int64_t autovacuums(const PgStat_StatTabEntry &entry)
{
    return entry.autovacuum_count;
}
inline int64_t autoanalyzes(const PgStat_StatTabEntry &entry)
{
    return entry.autoanalyze_count;
}
#else
inline int64_t live_rows(const PgStat_StatTabEntry &entry)
{
    return entry.n_live_tuples;
}
inline int64_t dead_rows(const PgStat_StatTabEntry &entry)
{
    return entry.n_dead_tuples;
}
inline int64_t modified_since_analyze(const PgStat_StatTabEntry &entry)
{
    return entry.changes_since_analyze;
}
inline int64_t inserted_since_vacuum(const PgStat_StatTabEntry &entry)
{
    return entry.inserts_since_vacuum;
}
inline int64_t moved_rows(const PgStat_StatTabEntry &)
{
    return -1;
}
inline TimestampTz last_scan(const PgStat_StatTabEntry &)
{
    return 0;
}
inline TimestampTz last_vacuum(const PgStat_StatTabEntry &entry)
{
    return entry.vacuum_timestamp;
}
inline TimestampTz last_autovacuum(const PgStat_StatTabEntry &entry)
{
    return entry.autovac_vacuum_timestamp;
}
inline TimestampTz last_analyze(const PgStat_StatTabEntry &entry)
{
    return entry.analyze_timestamp;
}
inline TimestampTz last_autoanalyze(const PgStat_StatTabEntry &entry)
{
    return entry.autovac_analyze_timestamp;
}
inline int64_t autovacuums(const PgStat_StatTabEntry &entry)
{
    return entry.autovac_vacuum_count;
}
inline int64_t autoanalyzes(const PgStat_StatTabEntry &entry)
{
    return entry.autovac_analyze_count;
}
#endif

// 18 took the run_once argument away from PortalRun().
inline bool portal_run(Portal portal, DestReceiver *receiver, QueryCompletion *completion)
{
#if PG_VERSION_NUM >= 180000
    return PortalRun(portal, FETCH_ALL, true, receiver, receiver, completion);
#else
    return PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, completion);
#endif
}

// 18 added the cap of the vacuum threshold; -1 in older versions: no cap.
inline int vacuum_max_threshold(const AutoVacOpts &options)
{
#if PG_VERSION_NUM >= 180000
    return options.vacuum_max_threshold;
#else
    (void)options;
    return -2;
#endif
}

// The file of a relation's main fork, relative to the data directory, without segment number.  17 renamed the
// constant for "no backend", 18 returns the path by value.
inline void relation_path(char *path, size_t room, Oid database, Oid tablespace, Oid filenode)
{
#if PG_VERSION_NUM >= 180000
    strlcpy(path, GetRelationPath(database, tablespace, filenode, INVALID_PROC_NUMBER, MAIN_FORKNUM).str,
            room);
#else
    char *const built = GetRelationPath(database, tablespace, filenode, -1, MAIN_FORKNUM);
    strlcpy(path, built, room);
    pfree(built);
#endif
}

// 16 declared what a tree's walker is called with.
using Walker = bool (*)(Node *, void *);
#if PG_VERSION_NUM >= 160000
inline Walker as_walker(Walker walker)
{
    return walker;
}
#else
inline auto as_walker(Walker walker)
{
    return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
}
#endif
inline bool walk_expression(Node *node, Walker walker, void *context)
{
    return expression_tree_walker(node, as_walker(walker), context);
}
inline bool walk_query(Query *query, Walker walker, void *context, int flags)
{
    return query_tree_walker(query, as_walker(walker), context, flags);
}

// 18 brought constraints that are not enforced.
inline bool enforced(const FormData_pg_constraint &constraint)
{
#if PG_VERSION_NUM >= 180000
    return constraint.conenforced;
#else
    (void)constraint;
    return true;
#endif
}

// 18 counts the pages that hold nothing to freeze.
inline int32_t all_frozen_pages(const FormData_pg_class &relation)
{
#if PG_VERSION_NUM >= 180000
    return relation.relallfrozen;
#else
    (void)relation;
    return 0;
#endif
}

// The first block of a relation of this database, without its descriptor.  16 renamed the file's identity.
inline Buffer read_first_block(Oid tablespace, Oid filenode, bool permanent, BufferAccessStrategy ring)
{
#if PG_VERSION_NUM >= 160000
    const RelFileLocator file = {tablespace, MyDatabaseId, filenode};
#else
    const RelFileNode file = {tablespace, MyDatabaseId, filenode};
#endif
    return ReadBufferWithoutRelcache(file, MAIN_FORKNUM, 0, RBM_NORMAL, ring, permanent);
}

// The current role owns the relation, or is a member of the role that does.
inline bool owns_relation(Oid relation)
{
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relation, GetUserId());
#else
    return pg_class_ownercheck(relation, GetUserId());
#endif
}

} // namespace opsrunbook::pg::compat
