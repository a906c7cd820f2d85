#include "advice/indexes/foreign_keys.hpp"

#include <algorithm>
#include <set>

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using observed::Constraint;
using observed::Index;
using observed::Relations;

bool foreign_key(const Relations &relations, const Constraint &constraint)
{
    if (constraint.kind != 'f' || !constraint.enforced || constraint.column_count == 0)
        return false;
    const observed::Table *table = relations.table(constraint.table);
    return table && relations.user_owned(table->relation) && table->relation.persistence != 't';
}

bool better_supporter(const Index &a, const Index &b)
{
    const bool a_needed = !needed_for(a).empty(), b_needed = !needed_for(b).empty();
    if (a_needed != b_needed)
        return a_needed;
    if (a.relation.pages != b.relation.pages)
        return a.relation.pages < b.relation.pages;
    return a.relation.oid < b.relation.oid;
}

const Index *supporter(const Relations &relations, const Constraint &key)
{
    const Index *best = nullptr;
    for (const Index *index : relations.indexes_of(key.table))
        if (supports(relations, *index, key) && (!best || better_supporter(*index, *best)))
            best = index;
    return best;
}

} // namespace

bool supports(const Relations &relations, const Index &index, const Constraint &key)
{
    const observed::Oid method = index.relation.access_method;
    if (index.table != key.table || !index.valid || !index.ready || !index.live ||
        index.predicate_hash != 0 || index.key_columns < key.column_count ||
        (method != btree_method && method != hash_method && method != gist_method))
        return false;
    const auto first = relations.index_columns.begin() + index.first_column;
    return std::all_of(key.columns, key.columns + key.column_count, [&](int16_t attribute) {
        return std::any_of(first, first + key.column_count, [attribute](const observed::IndexColumn &column) {
            return column.attribute == attribute;
        });
    });
}

std::vector<const Constraint *> unindexed_foreign_keys(const Relations &relations)
{
    std::vector<const Constraint *> found;
    // A partitioned referenced table has a copy of the constraint for each of its partitions.
    std::set<std::vector<int64_t>> known;
    for (const Constraint &constraint : relations.constraints) {
        if (!foreign_key(relations, constraint) || supporter(relations, constraint))
            continue;
        std::vector<int64_t> columns(constraint.columns, constraint.columns + constraint.column_count);
        std::sort(columns.begin(), columns.end());
        columns.push_back(constraint.table);
        if (known.insert(std::move(columns)).second)
            found.push_back(&constraint);
    }
    return found;
}

observed::OidMap foreign_key_supporters(const Relations &relations)
{
    observed::OidMap found;
    for (const Constraint &constraint : relations.constraints)
        if (foreign_key(relations, constraint))
            if (const Index *index = supporter(relations, constraint))
                found.emplace(index->relation.oid, 1);
    return found;
}

} // namespace opsrunbook::advice
