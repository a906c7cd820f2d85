#pragma once
// What several checks and the live triage say about sessions, in one spelling.

#include <string>

#include "health/check.hpp"

namespace opsrunbook::health {

std::string session_label(const observed::Session &session); // pid 42 (alice, app "psql")

bool is_client(const observed::Session &session); // a client's session, not a background process

// A transaction that keeps row versions alive, wrote something or holds locks; any other harms nobody.
bool holds_something(const observed::Session &session);

// A dump, a restore or a base backup: long by nature, and costly to interrupt.
bool is_backup_tool(const observed::Session &session);

// VACUUM, ANALYZE, CREATE INDEX and their like: long by nature.
bool is_maintenance(std::string_view query);

// The statement that ends what a session does: a cancel for a running statement, else a disconnect.
std::string end_command(const observed::Session &session);

// False, with an UNKNOWN finding that names the missing privilege, when sessions could not be read at all or
// not all of them; what is visible may be judged nevertheless.
bool sessions_seen(const Observations &seen, Judge &judge);

} // namespace opsrunbook::health
