#pragma once
// A statement that a user wrote, run for somebody else: with the rights of its author and no others, reading
// only, for a limited time, and leaving nothing behind.

#include <optional>
#include <string>

namespace opsrunbook::pg {

struct GuardedQuery {
    std::string sql;
    unsigned role;           // whose rights it has
    std::string search_path; // as its author saw it
    int timeout_ms;
};

struct Measured {
    std::optional<double> value;
    bool empty = false;  // it ran well, but gave no row or NULL
    std::string problem; // a sentence, when there is no value
};

// The one number of the one row of a SELECT.  Never an error of the caller's statement, except when that is
// cancelled or the backend shut down.
Measured measure(const GuardedQuery &query);

std::string search_path(); // the caller's own, as it is set

} // namespace opsrunbook::pg
