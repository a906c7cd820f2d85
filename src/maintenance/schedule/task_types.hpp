#pragma once
// The work of the house that a job can be given by the name of its type instead of by a statement.  No name
// is a statement itself: `analyze` stays SQL's.

#include <string>

namespace opsrunbook::maintenance {

// Runs the type here; empty: there is no such type, or the installed version does not have its function.
std::string statement_of_type(const std::string &type);

std::string task_type_names(); // alerts, maintenance, ...

} // namespace opsrunbook::maintenance
