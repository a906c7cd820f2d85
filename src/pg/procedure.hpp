#pragma once
// What procedures may do and functions may not.

namespace opsrunbook::pg {

// Commits the calling procedure's transaction and begins another, without a snapshot until the next query.
// 55000 inside a transaction block, where a procedure may not commit.
void commit_procedure();

} // namespace opsrunbook::pg
