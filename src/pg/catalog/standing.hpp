#pragma once
// The smaller topics of pg::read_server(): replay on a standby, extensions, collations, what the machine has.

#include "observed/relations.hpp"
#include "observed/server.hpp"

namespace opsrunbook::pg {

void read_standby_replay(observed::Server &server);
void read_extensions(observed::Server &server);
void read_notify_queue(observed::Server &server);
void read_setting_file_errors(observed::Server &server);

// Only collations that the indexes use are asked for their version: the library takes its time for each.
void read_outdated_collations(observed::Server &server, const observed::Relations &relations);

} // namespace opsrunbook::pg
