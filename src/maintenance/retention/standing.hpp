#pragma once
// Whether a policy or rule, which names its tables, is still about the tables it was set on, and still set by
// somebody with the rights of the owner: names are reused, and tables change hands.
//
// The OIDs of when it was set are kept beside it and not dumped.  After a dump and restore there are none:
// then it stands if the role that set it, by name, has the rights of the owner; the first run notes the new
// OIDs.

#include <string>

namespace opsrunbook::maintenance {

struct Standing {
    bool same_relation = true; // also when no OID is known
    bool same_other = true;    // of the archive, or the table with the references
    std::string setter;        // the role's name; empty: it does not exist any more
    bool setter_has_rights = false;
    std::string owner = {};
    bool exists = true;        // some table has the relation's name
    std::string name_now = {}; // of the table that it was set on, when it does not; empty: that one is gone
};

// Why nothing is done by it; empty: it stands.
std::string reason_against(const Standing &standing);

} // namespace opsrunbook::maintenance
