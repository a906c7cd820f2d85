#include "maintenance/retry.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

struct Passing {
    std::string_view sqlstate;
    const char *what;
};

constexpr std::string_view query_canceled = "57014";

// Errors of the moment: nothing about the task itself is wrong.
constexpr Passing passing[] = {
    {"55P03", "lock not available"},
    {"40P01", "deadlock"},
    {"40001", "serialization failure"},
    {query_canceled, "timeout"},
};

double delay_of(const Failure &failure, const RetryPolicy &policy)
{
    const double grown =
        policy.first_delay_seconds * std::pow(policy.factor, std::max(failure.attempt, 1) - 1);
    const double delay = std::min(grown, policy.longest_delay_seconds);
    return delay * (1 + std::clamp(failure.jitter, 0.0, 1.0) / 4);
}

} // namespace

RetryDecision decide_retry(const Failure &failure, const RetryPolicy &policy)
{
    if (failure.sqlstate == query_canceled && !failure.own_timeout)
        return {false, 0, "canceled"};
    for (const Passing &one : passing) {
        if (one.sqlstate != failure.sqlstate)
            continue;
        if (failure.attempt >= policy.attempts)
            return {false, 0,
                    base::format("%s: gave up after %d of %d attempts", one.what, failure.attempt,
                                 policy.attempts)};
        const double delay = delay_of(failure, policy);
        return {true, delay,
                base::format("%s: attempt %d of %d in ", one.what, failure.attempt + 1, policy.attempts) +
                    base::duration_text(delay)};
    }
    return {false, 0, "SQLSTATE " + failure.sqlstate + " does not pass by waiting"};
}

} // namespace opsrunbook::maintenance
