#pragma once
// The state of the sequences, straight from their pages.

#include "observed/relations.hpp"
#include "observed/server.hpp"
#include "observed/shapes.hpp"

namespace opsrunbook::pg {

// Fills Server::sequences with one pass over the sequences that `relations` names; of more than `most` those
// used most since the counters were reset, because one that nobody uses does not come to its end.  Temporary
// ones are passed over; so are those that somebody holds ACCESS EXCLUSIVE, which Shapes::locked_sequences
// names.  Never raises what the server refuses: Server::unseen["sequences"] says why.
void read_sequences(observed::Server &server, observed::Shapes &shapes, const observed::Relations &relations,
                    size_t most);

} // namespace opsrunbook::pg
