#pragma once
// The statements that would create indexes again.

#include <string>
#include <unordered_map>
#include <vector>

#include "observed/relations.hpp"

namespace opsrunbook::pg {

// CREATE INDEX statements (with tablespace, with semicolon) by the indexes' OIDs.  The server reads the
// table's columns under AccessShareLock, which is taken here conditionally and released at once: an index
// whose table somebody holds locked is missing from the answer, as is one that was dropped meanwhile.  A
// table costs some 20 microseconds and some kilobytes of the session's cache, so ask for those that are
// shown.
std::unordered_map<uint32_t, std::string> index_definitions(
    const std::vector<const observed::Index *> &indexes);

// The columns of constraints, quoted and separated by commas, by the constraints' OIDs.
std::unordered_map<uint32_t, std::string> constraint_columns(const std::vector<uint32_t> &constraints);

} // namespace opsrunbook::pg
