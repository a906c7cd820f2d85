#pragma once
// What the planner weighs benefits with: how large a table is, and how often its waste is read.

#include "observed/relations.hpp"

namespace opsrunbook::maintenance {

constexpr double page_bytes = 8192;

// Tables in use come before tables at rest, by orders of magnitude rather than counts.
double heat(int64_t seq_scans, int64_t index_scans);
double heat(const observed::Table &table);

double heap_bytes(const observed::Table &table);

} // namespace opsrunbook::maintenance
