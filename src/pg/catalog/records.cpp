#include "pg/catalog/records.hpp"

extern "C" {
#include "access/multixact.h"
#include "access/reloptions.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "utils/array.h"
}

namespace opsrunbook::pg {

namespace {

using namespace observed;

int32_t age_of(TransactionId now, TransactionId then)
{
    return TransactionIdIsNormal(then) ? static_cast<int32_t>(now - then) : observed::Relation::no_age;
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

uint64_t text_hash(Datum datum)
{
    char *const tree = TextDatumGetCString(datum);
    const uint64_t hash = tree_hash(tree);
    pfree(tree);
    return hash;
}

template <class T> std::optional<T> set_or_nothing(T value, T unset)
{
    return value <= unset ? std::nullopt : std::optional<T>(value);
}

} // namespace

Horizons read_horizons()
{
    return {XidFromFullTransactionId(ReadNextFullTransactionId()), ReadNextMultiXactId()};
}

bool read_class(HeapTuple tuple, TupleDesc shape, const Horizons &now, ClassRecord &out)
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
    relation.parent = InvalidOid; // stands in pg_inherits
    memcpy(out.name, NameStr(form->relname), NAMEDATALEN);
    relation.kind = form->relkind;
    relation.persistence = form->relpersistence;
    relation.replica_identity = form->relreplident;
    relation.is_partition = form->relispartition;
    relation.has_index = form->relhasindex;
    relation.row_security = form->relrowsecurity;
    relation.rows = form->reltuples;
    relation.pages = form->relpages;
    relation.all_visible_pages = form->relallvisible;
    relation.all_frozen_pages = compat::all_frozen_pages(*form);
    relation.xid_age = age_of(now.xid, form->relfrozenxid);
    relation.mxid_age = MultiXactIdIsValid(form->relminmxid)
                            ? static_cast<int32_t>(now.multixact - form->relminmxid)
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
    out.immediate = form->indimmediate;
    Datum values[Natts_pg_index];
    bool nulls[Natts_pg_index];
    heap_deform_tuple(tuple, shape, values, nulls);
    const oidvector *const collations =
        reinterpret_cast<oidvector *>(DatumGetPointer(values[Anum_pg_index_indcollation - 1]));
    const oidvector *const classes =
        reinterpret_cast<oidvector *>(DatumGetPointer(values[Anum_pg_index_indclass - 1]));
    const int2vector *const options =
        reinterpret_cast<int2vector *>(DatumGetPointer(values[Anum_pg_index_indoption - 1]));
    for (int i = 0; i < form->indnatts && i < INDEX_MAX_KEYS; ++i) {
        const bool key = i < form->indnkeyatts;
        out.column[i].attribute = form->indkey.values[i];
        out.column[i].collation = key ? collations->values[i] : InvalidOid;
        out.column[i].operator_class = key ? classes->values[i] : InvalidOid;
        out.column[i].options = key ? options->values[i] : static_cast<int16_t>(0);
    }
    out.expressions_hash =
        nulls[Anum_pg_index_indexprs - 1] ? 0 : text_hash(values[Anum_pg_index_indexprs - 1]);
    out.predicate_hash = nulls[Anum_pg_index_indpred - 1] ? 0 : text_hash(values[Anum_pg_index_indpred - 1]);
    return true;
}

bool read_constraint(HeapTuple tuple, TupleDesc shape, ConstraintRecord &record)
{
    observed::Constraint &out = record.constraint;
    const Form_pg_constraint form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
    if (!OidIsValid(form->conrelid))
        return false;
    out.oid = form->oid;
    out.table = form->conrelid;
    out.referenced_table = form->confrelid;
    out.index = form->conindid;
    memcpy(record.name, NameStr(form->conname), NAMEDATALEN);
    out.kind = form->contype;
    out.delete_action = form->confdeltype;
    out.validated = form->convalidated;
    out.inherited = OidIsValid(form->conparentid);
    out.enforced = compat::enforced(*form);
    out.column_count = 0;
    bool none;
    const Datum keys = heap_getattr(tuple, Anum_pg_constraint_conkey, shape, &none);
    if (!none) {
        ArrayType *const array =
            DatumGetArrayTypeP(keys); // detoasted into the current context when it was toasted
        const int count = ARR_NDIM(array) == 1 ? ARR_DIMS(array)[0] : 0;
        const int16 *const numbers = reinterpret_cast<int16 *>(ARR_DATA_PTR(array));
        for (int i = 0; i < count && i < INDEX_MAX_KEYS; ++i)
            out.columns[out.column_count++] = numbers[i];
    }
    return true;
}

bool read_inheritance(HeapTuple tuple, TupleDesc, InheritanceRecord &out)
{
    const Form_pg_inherits form = reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple));
    out = {form->inhrelid, form->inhparent};
    return true;
}

bool read_schema(HeapTuple tuple, TupleDesc, SchemaRecord &out)
{
    const Form_pg_namespace form = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple));
    out.oid = form->oid;
    out.owner = form->nspowner;
    memcpy(out.name, NameStr(form->nspname), NAMEDATALEN);
    return true;
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

} // namespace opsrunbook::pg
