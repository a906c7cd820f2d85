#include "health/checks/versions.hpp"

#include <algorithm>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

bool older_version(std::string_view installed, std::string_view available)
{
    const auto next = [](std::string_view &rest) -> long {
        long number = 0;
        size_t length = 0;
        for (; length < rest.size() && length < 10 && rest[length] >= '0' && rest[length] <= '9'; ++length)
            number = number * 10 + (rest[length] - '0');
        if (length == 0 || length > 9 || (length < rest.size() && rest[length] != '.'))
            return -1; // not a dotted number: an order cannot be told
        rest.remove_prefix(std::min(rest.size(), length + 1));
        return number;
    };
    while (!installed.empty() || !available.empty()) {
        const long a = installed.empty() ? 0 : next(installed);
        const long b = available.empty() ? 0 : next(available);
        if (a < 0 || b < 0)
            return false;
        if (a != b)
            return a < b;
    }
    return false;
}

} // namespace opsrunbook::health
