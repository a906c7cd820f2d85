#pragma once
// What the planner weighs benefits with: how large a table is, and how much of it is read in a day.

#include "observed/relations.hpp"
#include "observed/server.hpp"

namespace opsrunbook::maintenance {

constexpr double page_bytes = 8192;

double heap_bytes(const observed::Table &table);

// Bytes that scans read in a day: all of a table's for each sequential scan, a page for each index scan; and
// everything once, for what is never queried is still backed up, verified and dumped.
class Reading {
public:
    explicit Reading(const observed::Server &server);

    double bytes_a_day(double bytes, int64_t seq_scans, int64_t index_scans) const;
    double bytes_a_day(const observed::Table &table) const;

private:
    double days; // that the counters cover; less than a day counts as one, and is not extrapolated
};

} // namespace opsrunbook::maintenance
