#pragma once
// How much of a relation's file is wasted, measured by sampling its pages.

#include <cstdint>
#include <optional>
#include <string>

namespace opsrunbook::observed {

// Percentages are of the relation's size.  Of a table: dead rows and free space, as pgstattuple's
// dead_tuple_percent + free_percent.  Of an index: what a REINDEX would give back.
struct Bloat {
    uint32_t relation = 0;
    bool index = false;
    std::string method;                // "all pages", "sample of 812 pages"; empty: not measured
    std::string unmeasured;            // why; empty: measured
    bool out_of_budget = false;        // why: others came first
    std::optional<double> seconds_ago; // measured so long ago, by an earlier observation; nothing: now
    uint32_t file = 0;                 // the relation's file number, where an observation remembers it
    int64_t bytes = 0;
    int64_t pages = 0;
    int64_t sampled = 0;
    double pct = 0, low_pct = 0, high_pct = 0; // the estimate and its 95 % interval
    double dead_pct = 0, free_pct = 0;         // tables
    double reserved_pct = 0; // tables: the part of free_pct that a rewrite would leave free as well
    double deleted_pct = 0;  // indexes: deleted, half-dead and never used pages
    std::string confidence;  // high, medium, low; withheld when not measured

    bool measured() const { return unmeasured.empty(); }
    double wasted_pct() const { return pct > reserved_pct ? pct - reserved_pct : 0; }
    int64_t wasted_bytes() const
    {
        return static_cast<int64_t>(wasted_pct() / 100 * static_cast<double>(bytes));
    }
};

} // namespace opsrunbook::observed
