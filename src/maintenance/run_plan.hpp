#pragma once
// A run's first act: what it found to do, written down before anything is done.

#include "pg/worker.hpp"

namespace opsrunbook::maintenance {

// In the transaction it is called in.
void write_plan(const pg::WorkerRequest &request);

} // namespace opsrunbook::maintenance
