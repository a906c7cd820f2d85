#pragma once
// The relation that an unqualified name means to the caller.

#include <string>

namespace opsrunbook::pg {

unsigned visible_relation(const std::string &name); // through the caller's search path; 0: there is none

} // namespace opsrunbook::pg
