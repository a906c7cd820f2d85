#pragma once
// Who keeps VACUUM from removing what is dead: the five places from which an old snapshot or transaction can.

#include <vector>

#include "observed/server.hpp"

namespace opsrunbook::observed {

// Of the sessions, prepared transactions, slots and standbys that were seen; the oldest first.  Autovacuum's
// and this extension's own workers end by themselves, and a walsender's snapshot is its standby's.
std::vector<HorizonHolder> horizon_of(const Server &server);

} // namespace opsrunbook::observed
