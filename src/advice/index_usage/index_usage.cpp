#include "advice/index_usage/index_usage.hpp"

#include <algorithm>

#include "advice/index_usage/verdicts.hpp"
#include "advice/indexes/identity.hpp"
#include "base/text.hpp"
#include "pg/catalog/definitions.hpp"
#include "pg/catalog/index_usage.hpp"
#include "pg/catalog/relations.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::Timestamp;
using base::Value;
using observed::Index;
using observed::Relations;

// A definition makes the server describe the table in this session's cache; the largest get one.
constexpr size_t most_definitions = 20000;

// Users' indexes of tables; `whole`: and the partitioned ones, which have no counters of their own.
std::vector<const Index *> user_indexes(const Relations &relations, bool whole)
{
    std::vector<const Index *> found;
    for (const Index &index : relations.indexes)
        if ((whole || index.relation.kind != 'I') && user_index(relations, index))
            found.push_back(&index);
    return found;
}

struct Names {
    std::string schema, table, index;
};

class Namer {
public:
    explicit Namer(const Relations &relations_) : relations(relations_)
    {
        for (uint32_t i = 0; i < relations.others.size(); ++i)
            others.emplace(relations.others[i].oid, i);
    }
    Names names(const Index &index) const
    {
        const observed::Schema *schema = relations.schema(index.relation.schema);
        const observed::Table *table = relations.table(index);
        const auto other = others.find(index.table);
        return {schema ? schema->name : "",
                table   ? table->relation.name
                : other ? relations.others[other->second].name
                        : "",
                index.relation.name};
    }

private:
    const Relations &relations;
    observed::OidMap others;
};

struct Row {
    UsageVerdict verdict;
    int64_t bytes = 0;
};

int64_t bytes_of(const Relations &relations, const observed::IndexUsage &usage, const Index &index)
{
    if (index.relation.kind != 'I')
        return pg::relation_file_bytes(index.relation);
    int64_t bytes = 0;
    for (const Index &part : relations.indexes)
        for (auto parent = usage.parents.find(part.relation.oid); parent;
             parent = usage.parents.find(parent->second))
            if (parent->second == index.relation.oid)
                bytes += pg::relation_file_bytes(part.relation);
    return bytes;
}

std::vector<Row> sorted_rows(const Relations &relations, const observed::IndexUsage &usage,
                             std::vector<UsageVerdict> verdicts)
{
    std::vector<Row> rows;
    rows.reserve(verdicts.size());
    for (UsageVerdict &verdict : verdicts) {
        const int64_t bytes = bytes_of(relations, usage, *verdict.index);
        rows.push_back({std::move(verdict), bytes});
    }
    std::stable_sort(rows.begin(), rows.end(), [](const Row &a, const Row &b) {
        return a.verdict.droppable != b.verdict.droppable ? a.verdict.droppable : a.bytes > b.bytes;
    });
    return rows;
}

const char *usage_text(const Index &index)
{
    return index.scans == 0 ? "never used" : index.scans < 50 ? "rarely used" : "used";
}

} // namespace

void get_unused_indexes(const pg::Arguments &, pg::Rows &rows)
{
    const Relations relations = pg::read_relations();
    const std::vector<const Index *> indexes = user_indexes(relations, true);
    const observed::IndexUsage usage = pg::read_index_usage(relations, indexes, pg::index_parents(relations));
    const std::vector<Row> unused = sorted_rows(relations, usage, unused_indexes(relations, usage, indexes));
    std::vector<const Index *> defined;
    for (const Row &row : unused)
        if (defined.size() < most_definitions)
            defined.push_back(row.verdict.index);
    const auto definitions = pg::index_definitions(defined);
    const Namer namer(relations);
    for (const Row &row : unused) {
        const UsageVerdict &verdict = row.verdict;
        const Index &index = *verdict.index;
        const Names names = namer.names(index);
        const auto definition = definitions.find(index.relation.oid);
        const bool known = definition != definitions.end();
        const bool last = index.last_scan.microseconds != 0;
        // Without its definition there would be no way back.
        const bool locked = !known && defined.size() < most_definitions;
        rows.add(
            {names.schema, names.table, names.index, base::size_text(row.bytes), row.bytes, verdict.scans,
             verdict.quiet_since, last ? Value(index.last_scan) : Value(), verdict.droppable,
             verdict.reason + (known    ? ""
                               : locked ? "; its definition cannot be read while somebody locks the table"
                                        : "; for its definition call pg_get_indexdef()"),
             drop_command(relations, index),
             known ? Value(create_command(definition->second, index)) : Value()});
    }
}

void get_index_usage_stats(const pg::Arguments &, pg::Rows &rows)
{
    const Relations relations = pg::read_relations();
    std::vector<const Index *> indexes = user_indexes(relations, false);
    std::stable_sort(indexes.begin(), indexes.end(),
                     [](const Index *a, const Index *b) { return a->scans > b->scans; });
    const Namer namer(relations);
    for (const Index *index : indexes) {
        const Names names = namer.names(*index);
        const int64_t bytes = pg::relation_file_bytes(index->relation);
        rows.add({names.schema, names.table, names.index, index->scans, index->rows_read, index->rows_fetched,
                  base::size_text(bytes), bytes, usage_text(*index)});
    }
}

Value update_index_usage(const pg::Arguments &)
{
    const Relations relations = pg::read_relations();
    return pg::record_index_usage(relations, user_indexes(relations, false));
}

} // namespace opsrunbook::advice
