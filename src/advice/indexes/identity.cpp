#include "advice/indexes/identity.hpp"

#include <algorithm>
#include <span>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using observed::Index;
using observed::IndexColumn;
using observed::Relations;

std::span<const IndexColumn> columns_of(const Relations &relations, const Index &index, int from, int to)
{
    return std::span(relations.index_columns)
        .subspan(static_cast<size_t>(index.first_column + from), static_cast<size_t>(to - from));
}

bool same_columns(const Relations &relations, const Index &a, const Index &b, int count)
{
    const auto left = columns_of(relations, a, 0, count), right = columns_of(relations, b, 0, count);
    return std::equal(left.begin(), left.end(), right.begin(), [](const auto &x, const auto &y) {
        return x.attribute == y.attribute && x.options == y.options && x.operator_class == y.operator_class &&
               x.collation == y.collation;
    });
}

// The more somebody would miss it, the greater; the OID decides between equals, so that the answer is stable.
bool worth_more(const Index &a, const Index &b)
{
    const bool a_needed = !needed_for(a).empty(), b_needed = !needed_for(b).empty();
    if (a_needed != b_needed)
        return a_needed;
    if (a.scans != b.scans)
        return a.scans > b.scans;
    if (a.relation.pages != b.relation.pages)
        return a.relation.pages < b.relation.pages;
    return a.relation.oid < b.relation.oid;
}

// Most tables have no two indexes with anything in common.
bool any_related(const Relations &relations, const std::vector<const Index *> &group)
{
    for (size_t i = 0; i < group.size(); ++i)
        for (size_t j = 0; j < i; ++j)
            if (same_index(relations, *group[i], *group[j]) || covered_by(relations, *group[i], *group[j]) ||
                covered_by(relations, *group[j], *group[i]))
                return true;
    return false;
}

void find_redundant(const Relations &relations, std::vector<const Index *> group,
                    std::vector<Redundant> &found)
{
    std::sort(group.begin(), group.end(), [](const Index *a, const Index *b) { return worth_more(*a, *b); });
    std::vector<const Index *> keeper(group.size(), nullptr);
    std::vector<bool> identical(group.size(), false);
    for (size_t i = group.size(); i-- > 0;) {
        const Index &index = *group[i];
        if (!needed_for(index).empty() || index.relation.is_partition)
            continue;
        for (size_t j = 0; j < group.size() && !keeper[i]; ++j) {
            if (i == j || keeper[j])
                continue;
            identical[i] = same_index(relations, index, *group[j]);
            if (identical[i] || covered_by(relations, index, *group[j]))
                keeper[i] = group[j];
        }
    }
    for (size_t i = 0; i < group.size(); ++i) {
        if (!keeper[i])
            continue;
        // The keeper may have been found redundant after it was chosen; what covers it covers this one too.
        const Index *last = keeper[i];
        for (size_t j = 0; j < group.size(); ++j)
            if (group[j] == last && keeper[j]) {
                last = keeper[j];
                j = static_cast<size_t>(-1);
            }
        found.push_back({group[i], last, identical[i]});
    }
}

} // namespace

bool user_index(const Relations &relations, const Index &index)
{
    const observed::Schema *schema = relations.schema(index.relation.schema);
    return schema && !schema->system && !schema->temporary;
}

bool same_index(const Relations &relations, const Index &a, const Index &b)
{
    return a.table == b.table && a.relation.access_method == b.relation.access_method &&
           a.key_columns == b.key_columns && a.columns == b.columns && a.unique == b.unique &&
           a.immediate == b.immediate && a.exclusion == b.exclusion &&
           a.nulls_not_distinct == b.nulls_not_distinct && a.expressions_hash == b.expressions_hash &&
           a.predicate_hash == b.predicate_hash && same_columns(relations, a, b, a.columns);
}

bool covered_by(const Relations &relations, const Index &index, const Index &other)
{
    if (index.table != other.table || index.unique || index.exclusion ||
        index.relation.access_method != btree_method || other.relation.access_method != btree_method ||
        index.key_columns > other.key_columns || index.predicate_hash != other.predicate_hash ||
        !same_columns(relations, index, other, index.key_columns))
        return false;
    // Expressions are known by one hash of them all, so an index with some is compared with all of the
    // other's.
    if (index.expressions_hash != 0 && index.expressions_hash != other.expressions_hash)
        return false;
    const auto included = columns_of(relations, index, index.key_columns, index.columns);
    const auto there = columns_of(relations, other, 0, other.columns);
    return std::all_of(included.begin(), included.end(), [&there](const IndexColumn &column) {
        return std::any_of(there.begin(), there.end(),
                           [&column](const IndexColumn &one) { return one.attribute == column.attribute; });
    });
}

std::string_view needed_for(const Index &index)
{
    return index.primary            ? "it is the primary key"
           : index.exclusion        ? "it enforces an exclusion constraint"
           : index.backs_constraint ? "a constraint needs it (unique, or the target of a foreign key)"
           : index.replica_identity ? "it is the table's replica identity"
                                    : "";
}

std::vector<Redundant> redundant_indexes(const Relations &relations)
{
    std::vector<Redundant> found;
    std::vector<const Index *> group;
    for (size_t at = 0; at < relations.indexes.size(); ++at) {
        if (relations.indexes[at].before == 0 || !relations.last_of_its_table(at))
            continue; // an index alone, or one whose turn comes with the table's last
        group.clear();
        for (size_t place = at + 1; place != 0; place = relations.indexes[place - 1].before) {
            const Index &index = relations.indexes[place - 1];
            if (index.valid && index.ready && index.live && user_index(relations, index))
                group.push_back(&index);
        }
        if (any_related(relations, group))
            find_redundant(relations, group, found);
    }
    return found;
}

uint64_t shape_of(const Relations &relations, const Index &index)
{
    uint64_t hash = 14695981039346656037ull; // FNV-1a, a word at a time
    const auto mix = [&hash](uint64_t word) { hash = (hash ^ word) * 1099511628211ull; };
    mix(index.relation.access_method);
    mix(static_cast<uint64_t>(index.key_columns));
    mix(index.expressions_hash);
    mix(index.predicate_hash);
    for (const IndexColumn &column : columns_of(relations, index, 0, index.columns)) {
        mix(static_cast<uint16_t>(column.attribute));
        mix(column.operator_class);
        mix(column.collation);
        mix(static_cast<uint16_t>(column.options));
    }
    return hash;
}

std::string create_command(std::string definition, const Index &index)
{
    if (index.relation.kind != 'I')
        return definition;
    const std::string name = base::quote_identifier(index.relation.name), only = " ON ONLY ";
    const size_t at = definition.find(name);
    if (at != std::string::npos && definition.compare(at + name.size(), only.size(), only) == 0)
        definition.replace(at + name.size(), only.size(), " ON ");
    return definition;
}

std::string drop_command(const Relations &relations, const Index &index)
{
    return base::format("DROP INDEX %s%s;", index.relation.kind == 'I' ? "" : "CONCURRENTLY ",
                        relations.name(index.relation).c_str());
}

} // namespace opsrunbook::advice
