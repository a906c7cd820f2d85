#pragma once
// Who holds up whom: the sessions that wait for locks, hung below the ones that wait for nobody.

#include <vector>

#include "observed/server.hpp"

namespace opsrunbook::health {

struct LockWait {
    const observed::Session *session; // who waits
    int blocker;                      // whom it waits for; 0: a prepared transaction
    int depth;                        // 1: waits for the root itself
};

struct LockTree {
    int root = 0;                               // process id; 0: a prepared transaction
    const observed::Session *session = nullptr; // nullptr: the caller's own session, or none
    std::vector<LockWait> waits;                // each below its blocker, the nearest first
    double longest_seconds() const;
};

// The tree with most waiting sessions first.  A session that waits behind two roots stands below both.
// Sessions that wait for each other in a circle, as the server resolves after deadlock_timeout, hang below
// the first of them.
std::vector<LockTree> lock_trees(const std::vector<observed::Session> &sessions);

} // namespace opsrunbook::health
