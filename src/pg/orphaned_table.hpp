#pragma once
// Temporary tables that outlived their session: a crash leaves them, and nothing freezes them.

#include <string>

namespace opsrunbook::pg {

// Drops the table when, under its lock, nobody owns it any more: the test and the way by which autovacuum
// does it. Empty: done.  Otherwise why not.
std::string drop_orphaned_table(unsigned table);

} // namespace opsrunbook::pg
