#pragma once
// Retention policies as they are stored, and as they stand against the tables of this moment.
// Each function works in the transaction it is called in.

#include <optional>
#include <string>
#include <vector>

#include "base/value.hpp"
#include "maintenance/plan.hpp"
#include "maintenance/retention/statements.hpp"

namespace opsrunbook::maintenance {

struct StoredPolicy {
    std::string schema, name;
    uint32_t relation = 0; // 0: the table is gone
    uint32_t owner = 0;
    std::string owner_name;
    bool permitted = false;     // the current user has the rights of the table's owner; gone: may drop it
    std::string reason_against; // standing.hpp; empty: none
    std::string time_column;
    std::string time_type; // empty: the column is gone, or no time any more
    std::string keep;
    std::string condition;
    std::string archive_schema, archive_name; // empty: none
    int64_t batch_size = 10000;
    bool enabled = true;
};

// All policies, or that of one relation.
std::vector<StoredPolicy> stored_policies(std::optional<uint32_t> relation);

// Ties a policy that came with a dump to its table.
void note_identity(const StoredPolicy &stored);

// Of the enabled policies, by the histograms of their time columns: without a look at the tables, so without
// their locks.  Tables that were never analyzed are left out; conditions are not counted.
std::vector<ExpiredRows> expired_rows();

// The policy of a relation with `days` in the place of its interval.  Where it has none: its column
// created_at, and "processed" where it has such a column.
StoredPolicy policy_for_days(uint32_t relation, int64_t days);

// With its cutoff, counted from the start of this transaction, and its archive.  Throws when the time column
// or the archive is gone.
RetentionPolicy resolve(const StoredPolicy &stored);

// The policy's table and all below it, parents first.
std::vector<RetentionTable> tables_of(const RetentionPolicy &policy);

} // namespace opsrunbook::maintenance
