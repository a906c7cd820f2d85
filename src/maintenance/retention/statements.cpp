#include "maintenance/retention/statements.hpp"

#include <algorithm>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::quote_identifier;
using base::quote_literal;

std::string full_name(const RetentionTable &table)
{
    return base::qualified_name(table.schema, table.name);
}

std::string literal(const RetentionPolicy &policy, const std::string &time)
{
    return quote_literal(time) + "::" + policy.time_type;
}

// A comment at the condition's end must end there too.
std::string qualification(const RetentionPolicy &policy)
{
    std::string sql = quote_identifier(policy.time_column) + " < " + literal(policy, policy.cutoff);
    if (!policy.condition.empty())
        sql += " AND (" + policy.condition + (policy.condition.find("--") == std::string::npos ? ")" : "\n)");
    return sql;
}

// Under the name that the condition's writer knows the table by, whichever partition it is.
std::string from_clause(const RetentionPolicy &policy, const RetentionTable &table)
{
    return "ONLY " + full_name(table) + " AS " + quote_identifier(policy.name);
}

std::string column_list(const std::vector<std::string> &names)
{
    std::vector<std::string> columns;
    columns.reserve(names.size());
    for (const std::string &name : names)
        columns.push_back(quote_identifier(name));
    return base::join(columns, ", ");
}

std::string batch(const RetentionPolicy &policy, const RetentionTable &table, const std::string &stretch,
                  const std::string &order)
{
    const std::string time = quote_identifier(policy.time_column);
    const std::string alias = quote_identifier(policy.name);
    std::string sql = "WITH opsrunbook_chosen AS MATERIALIZED (SELECT " + alias + ".ctid AS at, " + alias +
                      "." + time + " AS moment FROM " + from_clause(policy, table) + " WHERE " + stretch +
                      qualification(policy) + order +
                      " FOR UPDATE SKIP LOCKED), opsrunbook_gone AS (DELETE FROM ONLY " + full_name(table) +
                      " WHERE ctid = ANY (ARRAY(SELECT at FROM opsrunbook_chosen)) RETURNING *)";
    if (!policy.archive.empty()) {
        const std::string list = column_list(policy.archived_columns);
        sql += ", opsrunbook_moved AS (INSERT INTO " + policy.archive + " (" + list +
               ") OVERRIDING SYSTEM VALUE SELECT " + list + " FROM opsrunbook_gone)";
    }
    return sql +
           " SELECT (SELECT count(*) FROM opsrunbook_chosen) AS chosen, (SELECT count(*) FROM "
           "opsrunbook_gone) AS gone,"
           " (SELECT max(moment)::text FROM opsrunbook_chosen) AS latest, (SELECT min(" +
           time + ")::text FROM opsrunbook_gone) AS gone_from, (SELECT max(" + time +
           ")::text FROM opsrunbook_gone) AS gone_to";
}

} // namespace

RetentionWay choose_way(const RetentionPolicy &policy, const RetentionTable &table,
                        int64_t seqscan_limit_bytes)
{
    // A condition may spare rows of an old partition: these are looked at row by row.
    if (table.old_entirely && table.split_by_time && policy.condition.empty())
        return policy.archive.empty() ? RetentionWay::drop_partition : RetentionWay::detach_partition;
    if (table.partitioned || (table.young_entirely && table.split_by_time))
        return RetentionWay::nothing;
    if (table.foreign)
        return RetentionWay::refuse_foreign;
    if (table.time_index)
        return RetentionWay::walk_index;
    return table.bytes > seqscan_limit_bytes ? RetentionWay::refuse_unindexed : RetentionWay::walk_blocks;
}

RangeBound range_bound(const std::string &bound)
{
    constexpr std::string_view start = "FOR VALUES FROM (";
    constexpr std::string_view middle = ") TO (";
    const size_t at = bound.find(middle); // a time has no parenthesis in it
    if (bound.compare(0, start.size(), start) != 0 || at == std::string::npos || bound.back() != ')')
        return {};
    const auto literal_in = [](std::string text) -> std::optional<std::string> {
        if (text.size() < 3 || text.front() != '\'' || text.find('\'', 1) != text.size() - 1)
            return std::nullopt;
        return text.substr(1, text.size() - 2);
    };
    const size_t end = at + middle.size();
    return {literal_in(bound.substr(start.size(), at - start.size())),
            literal_in(bound.substr(end, bound.size() - end - 1))};
}

int64_t next_span(int64_t span, int64_t rows, int64_t batch_size)
{
    constexpr int64_t most = 16384; // 128 MB: a batch that finds nothing still ends soon
    if (rows > batch_size)
        return std::max<int64_t>(1, span * batch_size / rows);
    if (rows * 2 <= batch_size)
        return std::min(most, span * 2);
    return span;
}

std::string batch_sql(const RetentionPolicy &policy, const RetentionTable &table, const IndexStretch &stretch)
{
    // Qualified, for a column may be called as one of our own.
    const std::string time = quote_identifier(policy.time_column);
    const std::string from =
        stretch.from.empty() ? "" : time + " >= " + literal(policy, stretch.from) + " AND ";
    return batch(policy, table, from,
                 " ORDER BY " + quote_identifier(policy.name) + "." + time + " LIMIT " +
                     std::to_string(policy.batch_size));
}

std::string batch_sql(const RetentionPolicy &policy, const RetentionTable &table, const BlockStretch &stretch)
{
    const std::string ctid = quote_identifier(policy.name) + ".ctid";
    return batch(policy, table,
                 base::format("%s >= '(%lld,0)'::tid AND %s < '(%lld,0)'::tid AND ", ctid.c_str(),
                              static_cast<long long>(stretch.first), ctid.c_str(),
                              static_cast<long long>(stretch.end)),
                 "");
}

std::string count_sql(const RetentionPolicy &policy, const RetentionTable &table)
{
    return "SELECT count(*) FROM " + from_clause(policy, table) + " WHERE " + qualification(policy);
}

std::string plain_delete(const RetentionPolicy &policy, const RetentionTable &table)
{
    const std::string where = " FROM " + full_name(table) +
                              (table.name == policy.name ? "" : " AS " + quote_identifier(policy.name)) +
                              " WHERE " + qualification(policy);
    if (policy.archive.empty())
        return "DELETE" + where + ";";
    const std::string list = column_list(policy.archived_columns);
    return "WITH gone AS (DELETE" + where + " RETURNING *) INSERT INTO " + policy.archive + " (" + list +
           ") OVERRIDING SYSTEM VALUE SELECT " + list + " FROM gone;";
}

std::string partition_command(const RetentionTable &table, RetentionWay way)
{
    if (way == RetentionWay::drop_partition)
        return "DROP TABLE " + full_name(table) + ";";
    return "ALTER TABLE " + table.parent + " DETACH PARTITION " + full_name(table) + ";";
}

std::string undo_archive(const RetentionPolicy &policy, const std::string &from, const std::string &to)
{
    const std::string time = quote_identifier(policy.time_column);
    const std::string list = column_list(policy.stored_columns);
    return "WITH back AS (DELETE FROM " + policy.archive + " WHERE " + time + " >= " + literal(policy, from) +
           " AND " + time + " <= " + literal(policy, to) + " RETURNING " + list + ") INSERT INTO " +
           base::qualified_name(policy.schema, policy.name) + " (" + list +
           ") OVERRIDING SYSTEM VALUE SELECT " + list + " FROM back;";
}

std::string undo_detach(const RetentionTable &table)
{
    return "ALTER TABLE " + table.parent + " ATTACH PARTITION " + full_name(table) + " " + table.bound + ";";
}

std::string index_command(const RetentionPolicy &policy, const RetentionTable &table)
{
    return "CREATE INDEX CONCURRENTLY ON " + full_name(table) + " (" + quote_identifier(policy.time_column) +
           ");";
}

} // namespace opsrunbook::maintenance
