#pragma once
// The arguments of a SQL function call, as values.

#include "base/value.hpp"

struct FunctionCallInfoBaseData;

namespace opsrunbook::pg {

class Arguments {
public:
    explicit Arguments(FunctionCallInfoBaseData *call_info) : fcinfo(call_info) {}
    base::Value value(int number) const; // number counts from 0; the declared type decides the value's type
    std::string printed(
        int number) const; // as the type prints it: an interval keeps its months; empty for NULL
    bool is_null(int number) const { return value(number).is_null(); }
    std::string text(int number) const { return value(number).text(); }
    int64_t integer(int number, int64_t otherwise = 0) const { return value(number).integer(otherwise); }
    bool boolean(int number, bool otherwise = false) const { return value(number).boolean(otherwise); }

private:
    FunctionCallInfoBaseData *fcinfo;
};

} // namespace opsrunbook::pg
