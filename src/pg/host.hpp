#pragma once
// The machine that the server runs on.

#include <cstdint>
#include <optional>

namespace opsrunbook::pg {

// Bytes of memory that the server may use: the machine's, or less where a container's limit says so.
std::optional<int64_t> memory_bytes();

} // namespace opsrunbook::pg
