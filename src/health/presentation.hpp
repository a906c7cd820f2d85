#pragma once
// How findings and outcomes are worded in rows: shared by the functions that print them.

#include <string>
#include <vector>

#include "health/diagnosis.hpp"
#include "health/score.hpp"

namespace opsrunbook::health {

base::Value text_or_null(const std::string &text);
std::string level(Status status);
std::string metric_of(const Check &check);
std::string outcome_text(const Outcome &outcome);
int severity_rank(Status status); // worst first

const Lost *worst_loss(const Score &score); // the one that costs the overall score most, or nullptr
std::string overall_finding(const Score &score, const Lost *worst);

struct Alert {
    const Check *check;
    const Finding *finding;
};
// WARNING or worse, and what could not be measured, worst first; not what is muted.  Points into the
// diagnosis.
std::vector<Alert> alerts_of(const Diagnosis &diagnosis);

} // namespace opsrunbook::health
