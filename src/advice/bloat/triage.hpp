#pragma once
// Which relations to sample, and how many pages of each, so that a whole database stays within a budget.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace opsrunbook::advice {

struct Candidate {
    uint32_t relation = 0;
    uint64_t pages = 0;
    double suspicion = 1; // orders what is alike in size: dead rows and updates make a relation more urgent
    double waited_seconds = 0; // since it was measured, where that is remembered: the longest goes first
};

struct Triage {
    uint64_t budget = 100000; // pages, all relations together
    uint64_t smallest = 8;    // smaller relations are not worth a look
    uint64_t least = 100;     // fewer pages of one relation say too little
    uint64_t most = 3000;
};

// The order in which they are worth a look: what has waited longest, then the largest suspected waste.
std::vector<size_t> by_urgency(const std::vector<Candidate> &candidates);

// For each candidate how many pages may be read of it; 0: too small, or the budget went to more urgent ones.
std::vector<uint64_t> allot(const std::vector<Candidate> &candidates, const Triage &triage);

} // namespace opsrunbook::advice
