#pragma once
// What keeps old row versions from being cleaned, and how to end it.

#include <string>

#include "observed/server.hpp"

namespace opsrunbook::health {

// The statement that ends it, or "-- " and what to do.
std::string remedy_of(const observed::Server &server, const observed::HorizonHolder &holder);

} // namespace opsrunbook::health
