#pragma once
// What to do about measured bloat.  Free space inside a table is reused by its next rows, so a rewrite is the
// last resort, said with its cost.

#include <string>

#include "observed/bloat.hpp"

namespace opsrunbook::advice {

struct Remedy {
    std::string text;
    std::string command; // empty: nothing to run
};

// table: its name as SQL writes it; of a TOAST table the owner's, which is what VACUUM takes.
Remedy table_remedy(const observed::Bloat &bloat, const std::string &table);
Remedy index_remedy(const observed::Bloat &bloat, const std::string &index);

} // namespace opsrunbook::advice
