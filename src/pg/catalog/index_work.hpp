#pragma once
// Whether somebody is at work on an index that is invalid.

#include "observed/relations.hpp"

namespace opsrunbook::pg {

// Fills Index::in_work.  Looks at locks and progress without waiting, and only if an index is invalid.
void mark_index_work(observed::Relations &relations);

} // namespace opsrunbook::pg
