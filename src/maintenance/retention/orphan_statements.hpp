#pragma once
// The statement that finds objects which nothing refers to, from the rules on one table.

#include <string>
#include <vector>

namespace opsrunbook::maintenance {

enum class ReferenceMatch { exact, suffix, contains };

struct OrphanReference {
    std::string relation; // qualified and quoted
    std::string column;
    ReferenceMatch match = ReferenceMatch::exact;
};

// One table of objects with every rule on it: an object is an orphan when none of them refers to it.
struct ObjectTable {
    std::string relation;                                // qualified and quoted
    std::string name_column, bucket_column, size_column; // the latter two: empty for none
    struct Age {
        std::string column, min_age;
        bool operator==(const Age &) const = default;
    };
    std::vector<Age> ages; // all must be reached
    std::vector<OrphanReference> references;
};

// Columns image_name, bucket, size_bytes; remove: the rows found are deleted, except those that somebody has
// locked.
std::string orphans_sql(const ObjectTable &table, bool remove);

// One row, one column: whether the reference holds any text at all.  If not, the rule would call everything
// an orphan.
std::string any_reference_sql(const OrphanReference &reference);

} // namespace opsrunbook::maintenance
