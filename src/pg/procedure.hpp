#pragma once
// What procedures may do and functions may not, and what both may say to the client.

#include <string>

namespace opsrunbook::pg {

// Commits the calling procedure's transaction and begins another, without a snapshot until the next query.
// 55000 inside a transaction block, where a procedure may not commit.
void commit_procedure();

void notice(const std::string &message);

} // namespace opsrunbook::pg
