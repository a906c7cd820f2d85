#pragma once

#include "observed/privileges.hpp"
#include "observed/server.hpp"

namespace opsrunbook::pg {

// Two small queries on pg_namespace and pg_proc, without locks on what they find.  What the server refuses
// stands in Server::unseen["privileges"].
observed::Privileges read_privileges(observed::Server &server);

} // namespace opsrunbook::pg
