#pragma once
// When one index does the work of another.  Definitions are compared by their catalog columns, never as text:
// key columns in order, operator classes, collations, sort options, expressions, predicate, access method,
// uniqueness, NULLS NOT DISTINCT and INCLUDE.

#include <cstdint>
#include <string>
#include <vector>

#include "observed/relations.hpp"

namespace opsrunbook::advice {

// The access methods of the core, whose OIDs are fixed.
constexpr observed::Oid btree_method = 403, hash_method = 405, gist_method = 783;

// The indexes of each table, found without a search.
class IndexesOfTables {
public:
    explicit IndexesOfTables(const observed::Relations &relations);
    std::vector<const observed::Index *> of(observed::Oid table) const;
    std::vector<const observed::Index *> next_group(size_t &at) const; // empty: no more tables

private:
    const observed::Relations &relations;
    observed::OidMap heads;      // table -> place of its last index, plus one
    std::vector<uint32_t> links; // index -> place of the one before it on the same table, plus one; 0: none
};

// Of a user's schema, not temporary.
bool user_index(const observed::Relations &relations, const observed::Index &index);

bool same_index(const observed::Relations &relations, const observed::Index &a, const observed::Index &b);

// Every scan of the index could use the other one: a non-unique btree whose key columns are the other's
// first.
bool covered_by(const observed::Relations &relations, const observed::Index &index,
                const observed::Index &other);

// What the index is needed for beyond scans; empty: nothing.
std::string needed_for(const observed::Index &index);

struct Redundant {
    const observed::Index *index; // to drop
    const observed::Index *keeper;
    bool identical;
};

// Never one that is needed for a constraint or as replica identity, or that is a part of a partitioned index;
// never both of a pair.
std::vector<Redundant> redundant_indexes(const observed::Relations &relations);

// Stays the same as long as the definition does.
uint64_t shape_of(const observed::Relations &relations, const observed::Index &index);

// A partitioned index cannot be dropped concurrently.
std::string drop_command(const observed::Relations &relations, const observed::Index &index);

} // namespace opsrunbook::advice
