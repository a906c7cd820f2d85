#pragma once
// Which rows a retention policy lets go, how to get at them, and the statements that do it.
//
// Two ways through a table.  With a B-tree index that leads with the time column: the oldest rows first, each
// batch from where the last one ended.  Without: ranges of blocks, each read once, in tables small enough to
// be read.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace opsrunbook::maintenance {

struct RetentionPolicy {
    uint32_t relation = 0;
    std::string schema, name;
    std::string time_column;
    std::string time_type; // date, timestamp or timestamptz: what the cutoff is a literal of
    std::string cutoff;    // rows older than this go
    std::string condition; // empty: none
    std::string archive;   // qualified and quoted; empty: delete
    std::vector<std::string> archived_columns;
    std::vector<std::string> stored_columns; // all but those that the table computes itself
    int64_t batch_size = 10000;
};

// A table that holds rows: the policy's own, or a partition or child of it.
struct RetentionTable {
    uint32_t relation = 0;
    std::string schema, name;
    uint32_t parent_relation = 0;
    std::string parent;       // qualified and quoted, of a partition or child
    bool partitioned = false; // holds no row itself
    bool foreign = false;
    bool split_by_time = false;  // its parent is partitioned by range of the time column alone
    std::string bound;           // as pg_get_expr() prints a partition's; empty: no partition
    bool old_entirely = false;   // the bound's upper end is not after the cutoff
    bool young_entirely = false; // its lower end is not before the cutoff
    bool time_index = false;
    int64_t bytes = 0;
    double rows = -1; // about; negative: never counted
};

enum class RetentionWay {
    nothing,
    drop_partition,
    detach_partition,
    walk_index,
    walk_blocks,
    refuse_unindexed,
    refuse_foreign
};

RetentionWay choose_way(const RetentionPolicy &policy, const RetentionTable &table,
                        int64_t seqscan_limit_bytes);

// The literals that a range partition's rows are at or above, and below: of FOR VALUES FROM ('2024-01-01') TO
// ('2024-02-01') they are 2024-01-01 and 2024-02-01.  Nothing: MINVALUE, MAXVALUE, more than one column, no
// range.
struct RangeBound {
    std::optional<std::string> from, to;
};
RangeBound range_bound(const std::string &bound);

// How many blocks to read next, from how many rows the last ones held: near the batch size, not over it by
// much.
int64_t next_span(int64_t span, int64_t rows, int64_t batch_size);

// Where a batch reads.  By index: rows at or after `from` (empty: the oldest).  By blocks: [first, end).
struct IndexStretch {
    std::string from;
};
struct BlockStretch {
    int64_t first, end;
};

// One batch, as one statement: locks what nobody else has locked, deletes it, archives it.  Its one row:
// chosen and gone (counts), latest (the last time value chosen, as text), gone_from and gone_to (the first
// and last time value gone, as text).
std::string batch_sql(const RetentionPolicy &policy, const RetentionTable &table,
                      const IndexStretch &stretch);
std::string batch_sql(const RetentionPolicy &policy, const RetentionTable &table,
                      const BlockStretch &stretch);

std::string count_sql(const RetentionPolicy &policy, const RetentionTable &table);

// What people read in the column "command".
std::string plain_delete(const RetentionPolicy &policy, const RetentionTable &table);
std::string partition_command(const RetentionTable &table, RetentionWay way);
// Moves back what a policy has archived of a stretch of time; attaches a detached partition.
std::string undo_archive(const RetentionPolicy &policy, const std::string &from, const std::string &to);
std::string undo_detach(const RetentionTable &table);
std::string index_command(const RetentionPolicy &policy, const RetentionTable &table);

} // namespace opsrunbook::maintenance
