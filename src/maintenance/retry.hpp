#pragma once
// What follows when a task failed: another attempt after a growing delay when the failure was a matter of
// timing, by SQLSTATE; otherwise the task has failed for good.

#include <string>

namespace opsrunbook::maintenance {

struct RetryPolicy {
    int attempts = 5; // the first one included
    double first_delay_seconds = 10;
    double factor = 2;
    double longest_delay_seconds = 600;
};

struct Failure {
    std::string sqlstate;
    int attempt = 1;          // which attempt this was, from 1
    bool own_timeout = false; // 57014 came from the timeout we set, not from a person who cancelled
    double jitter = 0;        // 0 to 1, the caller's random number: adds up to a quarter of the delay
};

struct RetryDecision {
    bool retry = false;
    double delay_seconds = 0;
    std::string reason; // "lock not available: attempt 2 of 5 in 10 s"
};

RetryDecision decide_retry(const Failure &failure, const RetryPolicy &policy);

} // namespace opsrunbook::maintenance
