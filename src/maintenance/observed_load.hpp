#pragma once
// How busy the server is now, and how busy maintenance lets it be.  For load_guard.hpp to judge.

#include "maintenance/load_guard.hpp"

namespace opsrunbook::maintenance {

// Neither `asking_pid`, who waits for the run, nor any of our workers counts as a session at work.
Load observe_load(int asking_pid);

LoadLimits load_limits(); // by the settings opsrunbook.max_*

} // namespace opsrunbook::maintenance
