#pragma once
// Which indexes this backend's planner does not show: what opsrunbook.index_trial says, cached.  Server
// regime.

#include "pg/postgres.hpp"

namespace opsrunbook::pg {

bool any_hidden_index(); // a test of two variables while nothing has changed
bool is_hidden_index(Oid index);
void show_hidden_index(Oid index); // in this backend, until the table changes again
Oid hidden_indexes_table();        // opsrunbook.index_trial, once an index is hidden

} // namespace opsrunbook::pg
