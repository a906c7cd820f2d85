#pragma once
// The result set of a SQL function, materialised row by row.

#include <initializer_list>

#include "base/value.hpp"

struct ReturnSetInfo;

namespace opsrunbook::pg {

class Rows {
public:
    explicit Rows(ReturnSetInfo *result_info) : rsinfo(result_info) {}
    // One value a column, in the declared order; a missing tail is NULL.  A value converts to its column's
    // type.
    void add(std::initializer_list<base::Value> values);

private:
    ReturnSetInfo *rsinfo;
};

} // namespace opsrunbook::pg
