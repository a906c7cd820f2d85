#pragma once
// The user relations that bloat may be measured of, and their measurement within a budget of pages.

#include <vector>

#include "advice/bloat/triage.hpp"
#include "observed/bloat.hpp"
#include "observed/relations.hpp"

namespace opsrunbook::advice {

template <class Item> struct Candidates {
    std::vector<Candidate> list;
    std::vector<const Item *> items; // the same order
};

// User tables, and those of their TOAST tables that are not too small; without temporary ones.
Candidates<observed::Table> table_candidates(const observed::Relations &relations, const Triage &triage);
// Indexes of user tables, whatever their kind.
Candidates<observed::Index> index_candidates(const observed::Relations &relations);

// One for each candidate, in their order; those that the triage leaves out say why.
std::vector<observed::Bloat> measure_all(const std::vector<Candidate> &candidates, const Triage &triage);

// For the health checks: only relations of 1 GB and more, a few pages of each, within some 50 ms, tables and
// indexes together: first what no observation has measured yet, by the waste suspected, then what was
// measured longest ago.  What the time did not suffice for comes back as it was last measured
// (remembered.hpp), or unmeasured, out of budget.
std::vector<observed::Bloat> observe_bloat(const observed::Relations &relations);

} // namespace opsrunbook::advice
