#pragma once
// What the server counts since a reset, taken down at a moment, so that a later look at the server sees what
// came since then: a counter that has run for years says nothing of today.

#include <map>
#include <optional>
#include <string>

#include "observed/server.hpp"

namespace opsrunbook::observed {

struct Counter {
    base::Timestamp since; // of its last reset
    int64_t value = 0;
};

struct CounterSample {
    base::Timestamp taken;
    std::map<std::string, Counter> counters; // by names that stay: "database.deadlocks"
};

// The counters of the current database, of the server, and how far each database has been frozen.
CounterSample counters_of(Server &server);

// Takes off what the sample had counted already: the counters and their windows are then those since it was
// taken, and rates of transaction ids are known.  A group of counters that was reset meanwhile, or fell, as
// after a crash or on a promoted standby, is left as it is.
void count_since(Server &server, const CounterSample &sample);

} // namespace opsrunbook::observed
