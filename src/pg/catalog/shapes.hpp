#pragma once

#include "observed/relations.hpp"
#include "observed/server.hpp"
#include "observed/shapes.hpp"

namespace opsrunbook::pg {

// Three small queries; none of them visits a table's own catalog rows unless the table is published, a
// default partition, or large.  What the server refuses stands in Server::unseen["table shapes"].
observed::Shapes read_shapes(observed::Server &server, const observed::Relations &relations);

} // namespace opsrunbook::pg
