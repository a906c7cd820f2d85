#pragma once
// What catalogs beside pg_class say of tables: publications, default partitions, keys of a narrow type.
// Filled by pg/catalog/shapes.cpp.

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

namespace opsrunbook::observed {

// A publication that sends updates or deletes, which need a replica identity.
struct Publication {
    std::string name;
    bool all_tables = false;
    std::unordered_set<uint32_t> tables, schemas;
};

// A primary key of one smallint or integer column, on a table large enough to care.
struct NarrowKey {
    uint32_t table = 0;
    std::string column; // quoted where it must be
    std::string type;   // smallint, integer
};

struct Shapes {
    std::vector<Publication> publications;
    std::vector<uint32_t> default_partitions;
    std::vector<NarrowKey> narrow_keys;
    std::vector<std::string> locked_sequences; // not read: somebody held them locked
};

} // namespace opsrunbook::observed
