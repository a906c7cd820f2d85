#pragma once
// The rows of opsrunbook.retention_run: one a step of a run, rewritten while the step goes on.
// Each function works in the transaction it is called in, as the owner of the house.

#include <cstdint>
#include <optional>
#include <string>

#include "pg/database.hpp"

namespace opsrunbook::maintenance {

struct RetentionStep {
    int number = 0; // within the run, from 1
    std::string relation;
    std::string action; // delete, archive, drop partition, detach partition
    std::optional<int64_t> rows;
    int64_t batches = 0;
    std::string status = "running"; // running, completed, failed, refused, skipped, planned
    std::string details, command;
    std::string undo; // the statement; empty: what is gone is gone
};

int64_t next_retention_run_id();
void write_retention_step(int64_t run_id, const RetentionStep &step, const std::string &role);
// relation, action, rows_affected, batches, status, details, command; sees what workers have committed
// meanwhile.
pg::Result retention_steps(int64_t run_id);

} // namespace opsrunbook::maintenance
