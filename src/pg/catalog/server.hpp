#pragma once
// What the server says of itself: one query a topic.

#include "observed/server.hpp"

namespace opsrunbook::pg {

// Never raises for what the caller may not see or what is not there: the topic stays absent and
// Server::unseen says why.
observed::Server read_server();

// Basics, sessions and prepared transactions, for flows that look at who does what right now.
observed::Server read_sessions_only();

// Just the settings (Server::settings), for flows that need nothing else.
void read_settings(observed::Server &server);

} // namespace opsrunbook::pg
