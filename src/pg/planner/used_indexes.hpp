#pragma once
// Which of the hidden indexes a finished plan uses.  Server regime.

#include "pg/postgres.hpp"

extern "C" {
#include "nodes/plannodes.h"
}

namespace opsrunbook::pg {

List *hidden_indexes_used(const PlannedStmt *statement); // of OIDs, in the current memory context

} // namespace opsrunbook::pg
