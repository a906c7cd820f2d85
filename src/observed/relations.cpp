#include "observed/relations.hpp"

#include <algorithm>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::observed {

const Schema *Relations::schema(Oid oid) const
{
    const auto sorted =
        std::lower_bound(schemas.begin(), schemas.end(), oid,
                         [](const Schema &schema, Oid wanted) { return schema.oid < wanted; });
    if (sorted != schemas.end() && sorted->oid == oid)
        return &*sorted;
    const auto found = std::find_if(schemas.begin(), schemas.end(),
                                    [oid](const Schema &schema) { return schema.oid == oid; });
    return found == schemas.end() ? nullptr : &*found;
}

const Table *Relations::table(Oid oid) const
{
    const auto found = table_by_oid.find(oid);
    return found == table_by_oid.end() ? nullptr : &tables[found->second];
}

bool Relations::user_owned(const Relation &relation) const
{
    if (const auto owner = relation.kind == 't' ? toast_owner.find(relation.oid) : nullptr)
        return user_owned(tables[owner->second].relation);
    const Schema *home = schema(relation.schema);
    return home && !home->system;
}

std::string Relations::name(const Relation &relation) const
{
    if (const auto owner = toast_owner.find(relation.oid); owner != toast_owner.end())
        return name(tables[owner->second].relation) + " (TOAST)";
    const Schema *home = schema(relation.schema);
    return base::qualified_name(home ? home->name : "?", relation.name);
}

} // namespace opsrunbook::observed
