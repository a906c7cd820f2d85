#pragma once
// What the catalogs and the cumulative statistics say of the relations of one database.  Plain structs,
// filled in one pass by pg/catalog/relations.cpp; identifiers are OIDs, names are as stored (unquoted).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/value.hpp"
#include "observed/name_pool.hpp"
#include "observed/oid_map.hpp"

namespace opsrunbook::observed {

struct Schema {
    Oid oid = 0;
    Oid owner = 0;
    std::string name;
    bool system = false;    // pg_catalog, information_schema, pg_toast
    bool temporary = false; // pg_temp_N, pg_toast_temp_N
    bool abandoned = false; // pg_temp_N, and no session uses it
};

// Autovacuum's storage parameters of one relation.  Nothing: the server's setting counts.
struct VacuumOptions {
    bool enabled = true;
    std::optional<int> vacuum_threshold, vacuum_max_threshold, insert_threshold, analyze_threshold;
    std::optional<int> freeze_max_age, multixact_freeze_max_age;
    std::optional<double> vacuum_scale_factor, insert_scale_factor, analyze_scale_factor;
};

// pg_class, as it stands.
struct Relation {
    static constexpr int no_age = -1; // the relation kind carries no transaction ids

    Oid oid;
    Oid schema;
    Oid owner;
    Oid toast;      // 0: none
    Oid tablespace; // 0: the database's own
    Oid access_method;
    Oid filenode;     // 0: mapped catalog, or no storage
    Oid parent;       // of a partition that is a table; 0: none
    const char *name; // kept by Relations::names
    char kind;        // r i t m S p I f v c, as pg_class.relkind
    char persistence; // p u t
    char replica_identity;
    bool is_partition;
    bool has_index;
    bool row_security;
    float rows; // reltuples; -1: never vacuumed or analyzed
    int32_t pages;
    int32_t all_visible_pages;
    int32_t all_frozen_pages; // 0: none, or not counted (before 18)
    int32_t xid_age;          // no_age: none
    int32_t mxid_age;         // no_age: none
    int32_t options;          // into Relations::options, -1: none
    int16_t fillfactor;       // 0: the access method's default

    bool is_table() const
    {
        return kind == 'r' || kind == 'm' || kind == 't';
    } // has a heap that VACUUM visits
};

// The cumulative statistics of a table: counters since `stats_reset`, zero when never counted.
struct TableCounters {
    int64_t seq_scans, seq_rows_read, index_scans, index_rows_fetched; // index scans: summed over its indexes
    int64_t inserted, updated, deleted, hot_updated;
    int64_t moved; // updates whose new row went to another page; -1: not counted (before 16)
    int64_t live_rows, dead_rows, modified_since_analyze, inserted_since_vacuum;
    int64_t blocks_read, blocks_hit;
    int64_t vacuums, autovacuums, analyzes, autoanalyzes;
    base::Timestamp last_vacuum, last_autovacuum, last_analyze, last_autoanalyze; // 0: never
};

struct Table {
    Relation relation;
    TableCounters counters;
    uint32_t last_index = 0; // into Relations::indexes, plus one; 0: none
};

struct IndexColumn {
    int16_t attribute; // 0: an expression
    int16_t options;   // DESC, NULLS FIRST
    Oid operator_class;
    Oid collation;
};

struct Index {
    Relation relation;
    Oid table;
    uint32_t table_place = 0; // into Relations::tables, plus one; 0: partitioned
    uint32_t before = 0;      // the index of the same table before this one, likewise; 0: none
    int32_t first_column;     // into Relations::index_columns
    int16_t columns;          // with INCLUDE columns
    int16_t key_columns;
    uint64_t expressions_hash; // of the expressions' trees without source locations; 0: none
    uint64_t predicate_hash;   // the same of the WHERE clause
    bool unique, primary, exclusion, nulls_not_distinct;
    bool valid, ready, live, replica_identity;
    bool in_work;          // invalid while another session builds, rebuilds or drops it
    bool immediate;        // uniqueness is checked at once, not when the transaction ends
    bool backs_constraint; // primary key, unique, exclusion or the target of a foreign key
    int64_t scans, rows_read, rows_fetched;
    base::Timestamp last_scan; // 0: never, or not known before PostgreSQL 16
    int64_t blocks_read, blocks_hit;
};

struct Constraint {
    Oid oid;
    Oid table;
    Oid referenced_table; // 0: not a foreign key
    Oid index;            // 0: none
    const char *name;     // kept by Relations::names
    char kind;            // f p u c x n t
    char delete_action;
    bool validated;
    bool inherited; // comes from a partitioned parent
    bool enforced;  // always, before PostgreSQL 18
    int16_t columns[32];
    int16_t column_count;
};

struct Relations {
    std::vector<Schema> schemas;
    std::vector<Table> tables;    // r, m, t
    std::vector<Index> indexes;   // i, I
    std::vector<Relation> others; // sequences, partitioned and foreign tables
    std::vector<VacuumOptions> options;
    std::vector<IndexColumn> index_columns;
    std::vector<Constraint> constraints;
    NamePool names;
    OidMap table_by_oid; // into tables
    OidMap toast_owner;  // toast table -> owner, into tables
    OidMap last_index_of_partitioned;
    uint64_t invalidations = 0; // the server's count of catalog changes when the pass began

    // Let a table, then an index of it, be found; once for each, when it has its place.
    void link_table(size_t place);
    void link_index(size_t place);

    const Schema *schema(Oid oid) const; // fast when the schemas are in the order of their OIDs
    const Table *table(Oid oid) const;
    const Table *table(const Index &index) const // without a search; nothing: partitioned
    {
        return index.table_place == 0 ? nullptr : &tables[index.table_place - 1];
    }
    std::vector<const Index *> indexes_of(Oid table) const;
    bool last_of_its_table(size_t index) const; // true once for each table that has an index
    bool user_owned(
        const Relation &relation) const; // not of a system schema; a TOAST table follows its owner
    // "schema.name", quoted where it must be; a TOAST table is named by its owner: "schema.name (TOAST)".
    std::string name(const Relation &relation) const;
};

} // namespace opsrunbook::observed
