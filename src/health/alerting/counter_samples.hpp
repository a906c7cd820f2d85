#pragma once
// Samples of the server's counters, one an hour for a day: bounded, and written by the scheduler's
// observations.

#include <optional>

#include "observed/counters.hpp"

namespace opsrunbook::health {

// The oldest sample of the last day that is an hour old at least.  Nothing on a standby: the samples there
// are the primary's.
std::optional<observed::CounterSample> read_counter_sample(const observed::Server &server);

// Keeps a sample, unless the newest one is younger than an hour, and removes those older than a day.
// To be called as the owner of the house.
void keep_counter_sample(const observed::CounterSample &sample);

} // namespace opsrunbook::health
