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

void Relations::link_table(size_t place)
{
    const Relation &relation = tables[place].relation;
    table_by_oid.emplace(relation.oid, static_cast<uint32_t>(place));
    toast_owner.emplace(relation.toast, static_cast<uint32_t>(place));
}

void Relations::link_index(size_t place)
{
    Index &index = indexes[place];
    const auto found = table_by_oid.find(index.table);
    index.table_place = found == table_by_oid.end() ? 0 : found->second + 1;
    uint32_t &last =
        index.table_place == 0 ? last_index_of_partitioned[index.table] : tables[found->second].last_index;
    index.before = last;
    last = static_cast<uint32_t>(place) + 1;
}

std::vector<const Index *> Relations::indexes_of(Oid oid) const
{
    std::vector<const Index *> found;
    uint32_t last = 0;
    if (const Table *owner = table(oid))
        last = owner->last_index;
    else if (const auto partitioned = last_index_of_partitioned.find(oid))
        last = partitioned->second;
    for (uint32_t at = last; at != 0; at = indexes[at - 1].before)
        found.push_back(&indexes[at - 1]);
    return found;
}

bool Relations::last_of_its_table(size_t place) const
{
    const Index &index = indexes[place];
    if (index.table_place != 0)
        return place + 1 == tables[index.table_place - 1].last_index;
    const auto partitioned = last_index_of_partitioned.find(index.table);
    return partitioned && place + 1 == partitioned->second;
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
