#pragma once
// Rows of the catalogs as plain records.  Server regime: for the lambdas of catalog scans.  For files of
// src/pg only.

#include "pg/boundary.hpp"
#include "pg/compat.hpp"

#include "observed/relations.hpp"

namespace opsrunbook::pg {

// Names are kept apart: what a record points to is gone with the next batch.
struct ClassRecord {
    observed::Relation relation;
    char name[NAMEDATALEN];
    AutoVacOpts vacuum;
    bool has_options;
};

// The counters that ages are measured from.
struct Horizons {
    TransactionId xid;
    MultiXactId multixact;
};
Horizons read_horizons();

struct IndexRecord {
    Oid oid, table;
    int16_t columns, key_columns;
    uint64_t expressions_hash, predicate_hash;
    bool unique, primary, exclusion, nulls_not_distinct, valid, ready, live, replica_identity, immediate;
    observed::IndexColumn column[INDEX_MAX_KEYS];
};

struct ConstraintRecord {
    observed::Constraint constraint;
    char name[NAMEDATALEN];
};

struct SchemaRecord {
    Oid oid, owner;
    char name[NAMEDATALEN];
};

// A partition or an inheriting table, or a partition's index.
struct InheritanceRecord {
    Oid child, parent;
};

// Each says whether the row counts; views and composite types, which have no storage and no statistics, do
// not.
bool read_class(HeapTuple tuple, TupleDesc shape, const Horizons &now, ClassRecord &out);
bool read_index(HeapTuple tuple, TupleDesc shape, IndexRecord &out);
bool read_constraint(HeapTuple tuple, TupleDesc shape, ConstraintRecord &record);
bool read_inheritance(HeapTuple tuple, TupleDesc shape, InheritanceRecord &out);
bool read_schema(HeapTuple tuple, TupleDesc shape, SchemaRecord &out);

// C++ regime: records as what others see of them.
observed::Schema schema_of(const SchemaRecord &record);
observed::VacuumOptions options_of(const AutoVacOpts &options);

} // namespace opsrunbook::pg
