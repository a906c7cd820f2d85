#pragma once
// What the machine below the server has: space, memory.

#include "observed/server.hpp"

namespace opsrunbook::pg {

// The file systems of the data directory, pg_wal and the tablespaces, each once.  Throws what SQL raises; a
// path that cannot be asked is noted in Server::unseen.
void read_volumes(observed::Server &server);

// Bytes in pg_multixact/members; nothing when the directory cannot be read.
std::optional<int64_t> multixact_member_bytes();

// The machine's memory, or what the control group leaves of it.
std::optional<int64_t> memory_bytes();

} // namespace opsrunbook::pg
