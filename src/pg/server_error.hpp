#pragma once
// A server ERROR that was caught, as values.

#include <string>

namespace opsrunbook::pg {

struct ServerError {
    std::string sqlstate; // five characters
    std::string message;
    std::string detail;
    std::string hint;
};

} // namespace opsrunbook::pg
