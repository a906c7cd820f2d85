#pragma once
// What an index trial decides: which index may be hidden, when a query needs it back, and when it may go.

#include <optional>
#include <string>
#include <string_view>

namespace opsrunbook::advice {

// An index as the catalogs have it; a name is empty where there is none.
struct IndexFacts {
    std::string name;  // schema-qualified and quoted
    std::string table; // the same
    std::string owner;
    bool is_index = true;
    bool owned = true;
    bool valid = true;
    bool primary = false;
    bool unique = false;
    bool replica_identity = false;
    bool clustered = false;
    bool partitioned = false;
    bool temporary = false;
    bool system = false;
    std::string constraint;
    std::string partition_of; // the partitioned index it belongs to
    std::string foreign_key;  // that this index alone supports
    std::string standbys;     // declared ones that use it
};

struct Refusal {
    enum class Kind { not_an_index, not_owner, not_fit };
    Kind kind;
    std::string message, detail, hint;
};
// Why the index must not be hidden, nor dropped after a trial.
std::optional<Refusal> refuse_trial(const IndexFacts &index);

// A plan's cost as the server compares plans: fewer disabled nodes first (from 18), then the cost of fetching
// that fraction of the rows which is wanted.
struct PlanCost {
    int disabled_nodes = 0;
    double startup = 0;
    double total = 0;
    double of(double fraction) const { return startup + fraction * (total - startup); }
};
// Whether the plan with the hidden indexes is better by more than the factor.
bool profits(const PlanCost &without, const PlanCost &with, double fraction, double min_gain);

// Whether a list such as shared_preload_libraries names this module.
bool names_module(std::string_view libraries);

} // namespace opsrunbook::advice
