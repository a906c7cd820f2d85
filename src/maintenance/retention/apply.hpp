#pragma once
// What a retention worker does: the policies one by one, a transaction a batch.  A batch's rows, and the row
// of opsrunbook.retention_run that counts them, are committed together.
//
// Conditions and triggers are written by whoever owns the table, so a batch runs with the rights of the
// table's owner and restricted, as the server's own maintenance does (pg/as_role.hpp); the caller must have
// these rights too.

#include <optional>
#include <string>

#include "pg/server_error.hpp"
#include "pg/worker.hpp"

namespace opsrunbook::maintenance {

// The error that stopped the last policy that was stopped.
std::optional<pg::ServerError> apply_policies(const pg::WorkerRequest &request);

// The policy of one relation as a task of a maintenance run: what was done, or why it was not.
struct RetentionOutcome {
    enum class Kind { completed, skipped, failed };
    Kind kind = Kind::failed;
    std::string words;
    std::string sqlstate = {}; // of what failed
};
RetentionOutcome apply_policy(uint32_t relation, const pg::WorkerRequest &run);

} // namespace opsrunbook::maintenance
