#pragma once
// The one C++ exception that means "the caller did something we refuse"; the boundary turns it into an ERROR
// with the SQLSTATE of its kind.

#include <exception>
#include <string>
#include <utility>

namespace opsrunbook::base {

enum class ErrorKind {
    invalid_input,   // 22023 invalid_parameter_value
    undefined,       // 42704 undefined_object
    undefined_table, // 42P01
    duplicate,       // 42710 duplicate_object
    not_allowed,     // 42501 insufficient_privilege
    not_ready,       // 55000 object_not_in_prerequisite_state
    read_only,       // 25006 read_only_sql_transaction
    unsupported,     // 0A000 feature_not_supported
    no_resources,    // 53400 configuration_limit_exceeded
    work_failed,     // 38000 external_routine_exception: a worker that the caller waited for failed
};

// Message: short, lower case, no full stop.  Detail: the values.  Hint: what to do, a sentence.
class Error : public std::exception {
public:
    Error(ErrorKind kind_, std::string message_, std::string detail_ = {}, std::string hint_ = {})
        : kind(kind_), message(std::move(message_)), detail(std::move(detail_)), hint(std::move(hint_))
    {
    }
    const char *what() const noexcept override { return message.c_str(); }

    ErrorKind kind;
    std::string message;
    std::string detail;
    std::string hint;
};

} // namespace opsrunbook::base
