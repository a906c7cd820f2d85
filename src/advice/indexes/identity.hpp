#pragma once
// When one index does the work of another.  Definitions are compared by their catalog columns, never as text:
// key columns in order, operator classes, collations, sort options, expressions, predicate, access method,
// uniqueness, NULLS NOT DISTINCT and INCLUDE.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "observed/relations.hpp"

namespace opsrunbook::advice {

// The access methods of the core, whose OIDs are fixed.
constexpr observed::Oid btree_method = 403, hash_method = 405, gist_method = 783;

// Of a user's schema, not temporary.
bool user_index(const observed::Relations &relations, const observed::Index &index);

bool same_index(const observed::Relations &relations, const observed::Index &a, const observed::Index &b);

// Every scan of the index could use the other one: a non-unique btree whose key columns are the other's
// first.
bool covered_by(const observed::Relations &relations, const observed::Index &index,
                const observed::Index &other);

// What the index is needed for beyond scans; empty: nothing.
std::string_view needed_for(const observed::Index &index);

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

// What makes it again, of its definition: the server words a partitioned index so that its parts are not made
// with it.
std::string create_command(std::string definition, const observed::Index &index);

// A partitioned index cannot be dropped concurrently.
std::string drop_command(const observed::Relations &relations, const observed::Index &index);

} // namespace opsrunbook::advice
