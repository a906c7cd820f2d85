#pragma once
// A check: one small pure decision, from what was observed to what was found.
//
// To add one: write its evaluate() and its entry in the table of its category's file under checks/, and, for
// a new file, name that file's table in registry.cpp.  Thresholds, scores, alerts, reports and
// opsrunbook.checks follow from the entry.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.hpp"
#include "base/text.hpp"
#include "health/thresholds.hpp"
#include "observed/bloat.hpp"
#include "observed/index_usage.hpp"
#include "observed/jobs.hpp"
#include "observed/privileges.hpp"
#include "observed/relations.hpp"
#include "observed/server.hpp"
#include "observed/shapes.hpp"
#include "observed/verification.hpp"

namespace opsrunbook::health {

enum class Status { ok, warning, critical, unknown };
std::string_view status_text(Status status); // OK WARNING CRITICAL UNKNOWN

enum class Category {
    wraparound,
    vacuum,
    locks,
    connections,
    performance,
    indexes,
    storage,
    replication,
    wal,
    integrity,
    configuration,
    backup,
    user, // checks that users added
};
std::string_view category_text(Category category);
double category_weight(Category category); // share of the score; the measured ones are re-normalised to 1

struct Observations {
    observed::Relations relations;
    observed::Server server;
    observed::Shapes shapes;
    observed::Privileges privileges;
    std::vector<observed::Bloat> bloat; // of the largest relations
    observed::Jobs jobs;
    observed::Verification verification;
    observed::IndexUsage index_usage;                 // of the indexes large enough to be worth dropping
    std::unordered_map<uint32_t, int64_t> file_bytes; // of the relations that index checks ask about
    // Of the tables due for VACUUM or ANALYZE, or the first 4,000 of them; 0: the file system does not know.
    std::unordered_map<uint32_t, base::Timestamp> file_created;
    std::unordered_map<uint32_t, std::string> constraint_columns; // of foreign keys without an index
    std::vector<std::string> skipped; // what was not looked at, and why (a locked object, a budget)
};

struct Finding {
    std::string check_id;
    Status status = Status::ok;
    std::string object; // what it is about, as SQL names it; empty: the database or the server
    std::vector<std::string> unmeasured; // of an UNKNOWN one about several objects: which
    std::string message;                 // one sentence, with the numbers
    std::optional<double> value;         // in the unit of the check's metric
    std::optional<double> threshold;     // the one that was crossed
    base::JsonObject evidence;
    std::string cause; // a chain: "slot x holds the horizon -> VACUUM cannot clean y"
    std::string fix;   // a statement to run, or "-- " and what to do
    std::string undo;
    std::optional<double> impact_pct;     // share of database time, where it can be measured
    bool lethal = false;                  // caps the score
    std::optional<base::Timestamp> since; // when it was first observed, where the alert state knows
    std::string mute;                     // who muted it, until when and why; empty: not muted
    uint32_t drops_index = 0; // what `fix` drops: diagnose() fills in `undo`, which only the server can tell
};

class Judge;

struct Check {
    std::string_view id;
    std::string_view title;
    Category category;
    double points; // what a CRITICAL takes off its category's 100; a WARNING takes half
    // The metric that thresholds are about; empty: the check decides by itself.
    std::string_view metric = "";
    std::string_view unit = "";
    Direction direction = Direction::above;
    std::optional<double> warning = {};
    std::optional<double> critical = {};
    bool bottleneck = false; // it slows work down now: detect_performance_bottlenecks() lists it
    std::string_view explanation = "";
    std::string_view source = ""; // of the formula
    void (*evaluate)(const Observations &, Judge &) = nullptr;
};

// What a check says to: compares with the thresholds in force and collects the findings.
class Judge {
public:
    Judge(const Check &check_, const Thresholds &thresholds_) : check(check_), thresholds(thresholds_) {}

    // The level of a value of the check's metric for an object ("" for the database); ok when disabled.
    Status level(double value, const std::string &object = "") const;
    std::optional<double> threshold(Status status, const std::string &object = "") const;

    // Adds a finding; the reference serves to fill in the rest and is valid until the next call.
    Finding &found(Status status, std::string object, std::string message);
    // Measures a value: adds a finding when it crosses a threshold, and returns it; nullptr when it is fine.
    Finding *measure(double value, const std::string &object, const std::string &message);
    void fine(std::string message)
    {
        checked = std::move(message);
    } // what was looked at, when nothing was found
    // Objects: which were not looked at, while the others were; none: the check tells nothing.
    void unknown(std::string reason, std::vector<std::string> objects = {});
    // There is nothing here that could be healthy or not: neither a finding nor a part of the score.
    void not_applicable(std::string reason);

    const Check &check;
    std::vector<Finding> findings;
    std::string checked;
    bool applies = true;

private:
    const Thresholds &thresholds;
};

// One check's outcome.
struct Outcome {
    const Check *check = nullptr;
    Status status = Status::ok;
    std::vector<Finding> findings; // worst first; empty when ok
    std::string checked;
    std::vector<Finding> muted = {}; // worst first; count neither as alerts nor in the score
    bool scored = true;              // counts in the score
};

std::span<const Check *const> registry(); // all checks, in the order of their categories
const Check *find_check(std::string_view id);

// Runs the checks (all, or those named); an unknown id: Error undefined, naming the ids there are.
std::vector<Outcome> evaluate(const Observations &seen, const Thresholds &thresholds,
                              const std::vector<std::string> &ids = {});

} // namespace opsrunbook::health
