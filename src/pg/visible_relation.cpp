#include "pg/visible_relation.hpp"
#include "pg/boundary.hpp"

extern "C" {
#include "catalog/namespace.h"
}

namespace opsrunbook::pg {

unsigned visible_relation(const std::string &name)
{
    const char *const text = name.c_str();
    return call([text] { return RelnameGetRelid(text); });
}

} // namespace opsrunbook::pg
