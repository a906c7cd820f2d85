#pragma once
// What roles without rights could use to act with others' rights.  Filled by pg/catalog/privileges.cpp.

#include <string>
#include <vector>

namespace opsrunbook::observed {

// A routine with its owner's rights that takes names from its caller's search_path.
struct DefinerRoutine {
    std::string signature; // quoted and qualified: shop."Pay"(integer)
    std::string schema;    // quoted
    std::string owner;
    bool superuser = false; // the owner is one
    bool everybody = false; // PUBLIC may call it
};

struct Privileges {
    std::vector<std::string> open_schemas; // quoted; PUBLIC may create objects there
    std::vector<DefinerRoutine> definer_routines;
};

} // namespace opsrunbook::observed
