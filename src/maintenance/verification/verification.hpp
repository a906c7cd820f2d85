#pragma once
// Verifies tables and their btree indexes with the extension amcheck, and remembers what came of it.
// Each function works in the transaction it is called in.

#include <optional>
#include <string>
#include <vector>

#include "observed/verification.hpp"
#include "pg/arguments.hpp"
#include "pg/rows.hpp"
#include "pg/server_error.hpp"

namespace opsrunbook::maintenance {

// Nothing: the current user can verify here.  Otherwise why not, and what helps.
std::optional<pg::ServerError> obstacle_to_verifying();

// One relation, read through: the table, or one of its indexes.
struct VerifiedPart {
    std::string object;
    std::optional<pg::ServerError>
        error; // SQLSTATE XX001, XX002: it is damaged; others: it could not be read
    std::string message;
};
bool is_damage(const pg::ServerError &error);

// Reads the whole table, and for each valid btree index that it is in order and has every row of the table;
// under ACCESS SHARE locks.  Remembers the outcome: damage, or that all of it was read.
std::vector<VerifiedPart> verify_relation(uint32_t relation);

void forget_gone_tables();
observed::VerifiedTables verified_tables(); // those that are gone may be among them
observed::Verification observe_verification();

// SQL: verify_table(relation regclass), rows (object, status, message).
void verify_table(const pg::Arguments &arguments, pg::Rows &rows);

} // namespace opsrunbook::maintenance
