#include "maintenance/retention/orphan_statements.hpp"
#include "maintenance/retention/standing.hpp"
#include "maintenance/retention/statements.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook::maintenance;

namespace {

RetentionPolicy policy(const char *condition = "", const char *archive = "")
{
    RetentionPolicy p;
    p.schema = "app";
    p.name = "user_events";
    p.time_column = "Created At";
    p.time_type = "timestamptz";
    p.cutoff = "2024-05-01 00:00:00+00";
    p.condition = condition;
    p.archive = archive;
    p.archived_columns = {"id", "Created At"};
    p.stored_columns = {"id", "Created At", "note"};
    p.batch_size = 500;
    return p;
}

RetentionTable table()
{
    RetentionTable t;
    t.schema = "app";
    t.name = "user_events_2024";
    t.parent = "app.user_events";
    return t;
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

TEST(Retention, RangeBounds)
{
    struct Case {
        const char *bound;
        const char *from, *to; // null: none
    };
    for (const Case &one : {
             Case{"FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00')",
                  "2024-01-01 00:00:00+00", "2024-02-01 00:00:00+00"},
             Case{"FOR VALUES FROM (MINVALUE) TO ('2024-02-01')", nullptr, "2024-02-01"},
             Case{"FOR VALUES FROM ('2024-01-01') TO (MAXVALUE)", "2024-01-01", nullptr},
             Case{"FOR VALUES FROM ('2024-01-01', 1) TO ('2024-02-01', 2)", nullptr, nullptr},
             Case{"FOR VALUES FROM ('2024-01-01', 'a') TO ('2024-02-01', 'b')", nullptr, nullptr},
             Case{"FOR VALUES FROM (1) TO (10)", nullptr, nullptr},
             Case{"FOR VALUES IN ('a) TO (''2024-01-01')", nullptr, nullptr},
             Case{"FOR VALUES WITH (modulus 4, remainder 0)", nullptr, nullptr},
             Case{"DEFAULT", nullptr, nullptr},
             Case{"", nullptr, nullptr},
         }) {
        const RangeBound range = range_bound(one.bound);
        EXPECT_EQ(range.from, one.from ? std::optional<std::string>(one.from) : std::nullopt) << one.bound;
        EXPECT_EQ(range.to, one.to ? std::optional<std::string>(one.to) : std::nullopt) << one.bound;
    }
}

TEST(Retention, WayThroughATable)
{
    constexpr int64_t limit = 256 << 20;
    RetentionTable t = table();
    EXPECT_EQ(choose_way(policy(), t, limit), RetentionWay::walk_blocks);
    t.bytes = limit;
    EXPECT_EQ(choose_way(policy(), t, limit), RetentionWay::walk_blocks);
    t.bytes = limit + 1;
    EXPECT_EQ(choose_way(policy(), t, limit), RetentionWay::refuse_unindexed);
    t.time_index = true;
    EXPECT_EQ(choose_way(policy(), t, limit), RetentionWay::walk_index);
    t.split_by_time = true;
    t.old_entirely = true;
    EXPECT_EQ(choose_way(policy(), t, limit), RetentionWay::drop_partition);
    EXPECT_EQ(choose_way(policy("", "app.old"), t, limit), RetentionWay::detach_partition);
    EXPECT_EQ(choose_way(policy("processed"), t, limit), RetentionWay::walk_index)
        << "a condition may spare rows";
    t.split_by_time = false;
    EXPECT_EQ(choose_way(policy(), t, limit), RetentionWay::walk_index) << "the bound is of another column";
    t.foreign = true;
    EXPECT_EQ(choose_way(policy(), t, limit), RetentionWay::refuse_foreign);
}

TEST(Retention, YoungPartitionsAndParentsAreNotRead)
{
    RetentionTable t = table();
    t.bytes = int64_t{1} << 40;
    t.split_by_time = t.young_entirely = true;
    EXPECT_EQ(choose_way(policy(), t, 1), RetentionWay::nothing);
    t = table();
    t.partitioned = true;
    EXPECT_EQ(choose_way(policy(), t, 1), RetentionWay::nothing);
    t.split_by_time = t.old_entirely = true;
    EXPECT_EQ(choose_way(policy(), t, 1), RetentionWay::drop_partition) << "with all below it";
}

TEST(Retention, SpanFollowsTheRowsFound)
{
    struct Case {
        int64_t span, rows, batch, next;
    };
    for (const Case &one : {Case{100, 0, 1000, 200}, Case{100, 500, 1000, 200}, Case{100, 501, 1000, 100},
                            Case{100, 1000, 1000, 100}, Case{100, 2000, 1000, 50}, Case{1, 100, 10, 1},
                            Case{16384, 0, 1000, 16384}})
        EXPECT_EQ(next_span(one.span, one.rows, one.batch), one.next) << one.span << " " << one.rows;
}

TEST(Retention, BatchStatements)
{
    const std::string first = batch_sql(policy("processed -- done"), table(), IndexStretch{});
    EXPECT_TRUE(has(
        first,
        "FROM ONLY app.user_events_2024 AS user_events WHERE \"Created At\" < '2024-05-01 "
        "00:00:00+00'::timestamptz"
        " AND (processed -- done\n) ORDER BY user_events.\"Created At\" LIMIT 500 FOR UPDATE SKIP LOCKED"))
        << first;
    EXPECT_FALSE(has(first, "INSERT"));
    const std::string next = batch_sql(policy(), table(), IndexStretch{"2024-03-01 00:00:00+00"});
    EXPECT_TRUE(
        has(next, "WHERE \"Created At\" >= '2024-03-01 00:00:00+00'::timestamptz AND \"Created At\" <"))
        << next;
    const std::string blocks = batch_sql(policy("", "app.old"), table(), BlockStretch{10, 20});
    EXPECT_TRUE(has(blocks, "user_events.ctid >= '(10,0)'::tid AND user_events.ctid < '(20,0)'::tid AND"))
        << blocks;
    EXPECT_TRUE(has(blocks, "INSERT INTO app.old (id, \"Created At\") OVERRIDING SYSTEM VALUE SELECT id, "
                            "\"Created At\" FROM opsrunbook_gone"))
        << blocks;
    EXPECT_FALSE(has(blocks, "LIMIT")) << "a limit would skip the rows behind it";
}

TEST(Retention, WhatUndoes)
{
    EXPECT_EQ(
        undo_archive(policy("processed", "app.old"), "2024-01-01 00:00:00+00", "2024-04-30 00:00:00+00"),
        "WITH back AS (DELETE FROM app.old WHERE \"Created At\" >= '2024-01-01 00:00:00+00'::timestamptz"
        " AND \"Created At\" <= '2024-04-30 00:00:00+00'::timestamptz RETURNING id, \"Created At\", note)"
        " INSERT INTO app.user_events (id, \"Created At\", note) OVERRIDING SYSTEM VALUE"
        " SELECT id, \"Created At\", note FROM back;");
    RetentionTable t = table();
    t.bound = "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')";
    EXPECT_EQ(undo_detach(t),
              "ALTER TABLE app.user_events ATTACH PARTITION app.user_events_2024 FOR VALUES FROM "
              "('2024-01-01') TO ('2024-02-01');");
}

TEST(Retention, CommandsForPeople)
{
    EXPECT_EQ(plain_delete(policy(), table()),
              "DELETE FROM app.user_events_2024 AS user_events WHERE \"Created At\" < "
              "'2024-05-01 00:00:00+00'::timestamptz;");
    EXPECT_EQ(partition_command(table(), RetentionWay::drop_partition), "DROP TABLE app.user_events_2024;");
    EXPECT_EQ(partition_command(table(), RetentionWay::detach_partition),
              "ALTER TABLE app.user_events DETACH PARTITION app.user_events_2024;");
    EXPECT_EQ(index_command(policy(), table()),
              "CREATE INDEX CONCURRENTLY ON app.user_events_2024 (\"Created At\");");
}

TEST(Orphans, EveryReferenceMustMiss)
{
    ObjectTable objects;
    objects.relation = "storage.objects";
    objects.name_column = "name";
    objects.bucket_column = "bucket_id";
    objects.ages = {{"created_at", "1 day"}};
    objects.references = {{"app.a", "path", ReferenceMatch::exact},
                          {"app.b", "url", ReferenceMatch::suffix},
                          {"app.c", "data", ReferenceMatch::contains}};
    const std::string listed = orphans_sql(objects, false);
    for (const char *part :
         {"NOT EXISTS (SELECT FROM reference_1 s WHERE s.spelling = o.name)",
          "NOT EXISTS (SELECT FROM reference_2 s WHERE s.last = regexp_replace(o.name, '^.*/', '')",
          "NOT EXISTS (SELECT FROM reference_3 s WHERE strpos(s.spelling, o.name) > 0)",
          "x.created_at < now() - '1 day'::interval", "opsrunbook.decode_url("})
        EXPECT_TRUE(has(listed, part)) << part << "\n" << listed;
    EXPECT_FALSE(has(listed, "DELETE"));
    const std::string removed = orphans_sql(objects, true);
    EXPECT_TRUE(has(removed, "FOR UPDATE SKIP LOCKED"));
    EXPECT_TRUE(has(removed, "DELETE FROM storage.objects x USING free f"));
}

TEST(Retention, WhatWasSetStandsForTheSameTablesAndBySomebodyWithTheOwnersRights)
{
    Standing standing{true, true, "app", true, "app"};
    EXPECT_EQ(reason_against(standing), "");
    standing.setter_has_rights = false;
    standing.owner = "Bob";
    EXPECT_EQ(reason_against(standing),
              "role app set it, without the rights of \"Bob\", who owns the table now");
    standing.setter = "";
    EXPECT_TRUE(has(reason_against(standing), "does not exist any more"));
    // Even by the owner: the rows are others.
    EXPECT_TRUE(has(reason_against({false, true, "app", true, "app"}), "set on another table"));
    EXPECT_TRUE(has(reason_against({true, false, "app", true, "app"}), "another one then"));
    EXPECT_EQ(reason_against({true, true, "app", false, "", false, "new.name"}),
              "the table is called new.name now");
    EXPECT_EQ(reason_against({true, true, "app", false, "", false, ""}), "the table does not exist any more");
}
