#include "pg/catalog/relations.hpp"
#include "pg/catalog/counters.hpp"
#include "pg/catalog/index_work.hpp"
#include "pg/catalog/records.hpp"
#include "pg/catalog/scan.hpp"

#include <algorithm>

#include "base/large_pages.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "storage/sinval.h"
#include "utils/inval.h"
}

namespace opsrunbook::pg {

namespace {

using namespace observed;

void read_schemas(Relations &out, const CatalogSnapshot &snapshot)
{
    scan_catalog<SchemaRecord>(
        NamespaceRelationId, snapshot, read_schema,
        [&out](const SchemaRecord &record) { out.schemas.push_back(schema_of(record)); });
    std::sort(out.schemas.begin(), out.schemas.end(),
              [](const Schema &a, const Schema &b) { return a.oid < b.oid; });
    for (Schema &schema : out.schemas)
        if (schema.temporary && !schema.name.starts_with("pg_toast_temp_"))
            schema.abandoned = // by the test with which autovacuum tells orphans
                call([&schema] { return checkTempNamespaceStatus(schema.oid) == TEMP_NAMESPACE_IDLE; });
}

// Tables, indexes (pg_class's half of them) and others.
void read_classes(Relations &out, const CatalogSnapshot &snapshot)
{
    const Horizons now = call([] { return read_horizons(); });
    // Growing step by step would touch the memory of the result twice over; what is too much is never
    // touched.
    const size_t expected = expected_rows(RelationRelationId);
    base::reserve_large(out.tables, expected / 2);
    base::reserve_large(out.indexes, expected / 3 * 2);
    scan_catalog<ClassRecord>(
        RelationRelationId, snapshot,
        [&now](HeapTuple tuple, TupleDesc shape, ClassRecord &record) {
            return read_class(tuple, shape, now, record);
        },
        [&out](ClassRecord &record) {
            observed::Relation &relation = record.relation;
            relation.name = out.names.keep(record.name);
            if (record.has_options) {
                relation.options = static_cast<int32_t>(out.options.size());
                out.options.push_back(options_of(record.vacuum));
            }
            if (relation.is_table())
                out.tables.push_back({relation, {}});
            else if (relation.kind == RELKIND_INDEX || relation.kind == RELKIND_PARTITIONED_INDEX)
                out.indexes.emplace_back().relation = relation;
            else
                out.others.push_back(relation);
        });
    out.table_by_oid.reserve(out.tables.size());
    for (size_t place = 0; place < out.tables.size(); ++place)
        out.link_table(place);
}

// Which partitioned table a partition belongs to; partitions may be partitioned themselves, or foreign.
void read_parents(Relations &out, const CatalogSnapshot &snapshot)
{
    OidMap others;
    for (uint32_t i = 0; i < out.others.size(); ++i)
        if (out.others[i].is_partition)
            others.emplace(out.others[i].oid, i);
    scan_catalog<InheritanceRecord>(
        InheritsRelationId, snapshot, read_inheritance, [&](const InheritanceRecord &record) {
            if (const auto table = out.table_by_oid.find(record.child); table != out.table_by_oid.end()) {
                observed::Relation &relation = out.tables[table->second].relation;
                if (relation.is_partition)
                    relation.parent = record.parent;
            }
            else if (const auto other = others.find(record.child); other != others.end())
                out.others[other->second].parent = record.parent;
        });
}

void complete_index(observed::Index &index, const IndexRecord &record, std::vector<IndexColumn> &columns)
{
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
    index.immediate = record.immediate;
    index.first_column = static_cast<int32_t>(columns.size());
    columns.insert(columns.end(), record.column, record.column + record.columns);
}

// pg_index's half of the indexes.
void read_indexes(Relations &out, const CatalogSnapshot &snapshot)
{
    OidMap by_oid;
    by_oid.reserve(out.indexes.size());
    for (uint32_t i = 0; i < out.indexes.size(); ++i)
        by_oid.emplace(out.indexes[i].relation.oid, i);
    scan_catalog<IndexRecord>(IndexRelationId, snapshot, read_index, [&](const IndexRecord &record) {
        if (const auto found = by_oid.find(record.oid); found != by_oid.end())
            complete_index(out.indexes[found->second], record, out.index_columns);
    });
    std::erase_if(out.indexes, [](const observed::Index &index) { return index.table == 0; });
    for (size_t place = 0; place < out.indexes.size(); ++place)
        out.link_index(place);
}

void read_constraints(Relations &out, const CatalogSnapshot &snapshot)
{
    base::reserve_large(out.constraints, expected_rows(ConstraintRelationId));
    scan_catalog<ConstraintRecord>(ConstraintRelationId, snapshot, read_constraint,
                                   [&out](ConstraintRecord &record) {
                                       record.constraint.name = out.names.keep(record.name);
                                       out.constraints.push_back(record.constraint);
                                   });
}

// What an index knows from its constraint, and a table from its indexes.
void complete(Relations &out)
{
    OidMap constraint_indexes;
    for (const observed::Constraint &constraint : out.constraints)
        constraint_indexes.emplace(constraint.index, 1);
    for (observed::Index &index : out.indexes) {
        index.backs_constraint =
            index.primary || index.exclusion || constraint_indexes.contains(index.relation.oid);
        if (index.table_place != 0)
            out.tables[index.table_place - 1].counters.index_scans += index.scans;
    }
}

// The pages of tables that were never analyzed: nothing else says whether those hold rows whose counters were
// lost by a crash or by pg_upgrade.  A look at a file costs about a microsecond.
void read_unanalyzed_pages(Relations &out)
{
    constexpr int most = 4000;
    int looked_at = 0;
    for (observed::Table &table : out.tables) {
        observed::Relation &relation = table.relation;
        if (relation.rows >= 0 || relation.pages > 0 || relation.kind == 't' || relation.persistence == 't' ||
            table.counters.last_analyze.microseconds != 0 ||
            table.counters.last_autoanalyze.microseconds != 0)
            continue;
        if (++looked_at > most)
            return;
        relation.pages = static_cast<int32_t>(relation_file_bytes(relation) / BLCKSZ);
    }
}

} // namespace

Relations read_relations()
{
    Relations out;
    out.invalidations = call([] {
        AcceptInvalidationMessages();
        return SharedInvalidMessageCounter;
    });
    CatalogSnapshot snapshot;
    read_schemas(out, snapshot);
    read_classes(out, snapshot);
    read_parents(out, snapshot);
    read_indexes(out, snapshot);
    read_constraints(out, snapshot);
    snapshot.end();
    read_table_counters(out.tables);
    read_index_counters(out.indexes);
    complete(out);
    read_unanalyzed_pages(out);
    mark_index_work(out);
    return out;
}

} // namespace opsrunbook::pg
