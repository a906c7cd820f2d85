// Indexes and the checks on them, on built catalogs: one defect of other tools a test.
#include <gtest/gtest.h>

#include "advice/index_usage/candidates.hpp"
#include "advice/index_usage/verdicts.hpp"
#include "advice/indexes/foreign_keys.hpp"
#include "advice/indexes/identity.hpp"
#include "checks_fixture.hpp"

namespace opsrunbook::test {

namespace {

using advice::covered_by;
using advice::redundant_indexes;
using advice::same_index;
using observed::Index;
using observed::Oid;

constexpr int64_t day = 86400ll * 1000000;
constexpr base::Timestamp today{9000 * day};

struct Catalog {
    Observations seen = healthy();

    Catalog()
    {
        seen.relations.schemas.push_back({2200, 10, "public", false, false});
        seen.index_usage.now = today;
        seen.index_usage.counted_since = base::Timestamp{today.microseconds - 100 * day};
        table(1000, "t");
    }
    void table(Oid oid, const char *name, int32_t pages = 100000)
    {
        observed::Table table{};
        table.relation.oid = oid;
        table.relation.schema = 2200;
        table.relation.name = name;
        table.relation.kind = 'r';
        table.relation.persistence = 'p';
        table.relation.pages = pages;
        seen.relations.tables.push_back(table);
        seen.relations.link_table(seen.relations.tables.size() - 1);
    }
    // The reference is valid until the next call.
    Index &index(const char *name, const std::vector<int16_t> &columns, Oid table = 1000)
    {
        Index index{};
        index.relation.oid = 2000 + static_cast<Oid>(seen.relations.indexes.size());
        index.relation.schema = 2200;
        index.relation.name = name;
        index.relation.kind = 'i';
        index.relation.persistence = 'p';
        index.relation.access_method = advice::btree_method;
        index.relation.pages = 5000;
        index.table = table;
        index.first_column = static_cast<int32_t>(seen.relations.index_columns.size());
        index.columns = index.key_columns = static_cast<int16_t>(columns.size());
        index.valid = index.ready = index.live = index.immediate = true;
        for (const int16_t column : columns)
            seen.relations.index_columns.push_back({column, 0, 1978, 0});
        seen.index_usage.past[index.relation.oid].file_created =
            base::Timestamp{today.microseconds - 90 * day};
        seen.relations.indexes.push_back(index);
        seen.relations.link_index(seen.relations.indexes.size() - 1);
        return seen.relations.indexes.back();
    }
    observed::IndexColumn &column(size_t index, size_t place)
    {
        return seen.relations
            .index_columns[static_cast<size_t>(seen.relations.indexes[index].first_column) + place];
    }
    void foreign_key(const std::vector<int16_t> &columns, Oid table = 1000)
    {
        observed::Constraint key{};
        key.oid = 3000 + static_cast<Oid>(seen.relations.constraints.size());
        key.table = table;
        key.referenced_table = 1000;
        key.kind = 'f';
        key.enforced = true;
        key.name = "fk";
        for (const int16_t column : columns)
            key.columns[key.column_count++] = column;
        seen.relations.constraints.push_back(key);
    }
    std::vector<advice::UsageVerdict> unused()
    {
        std::vector<const Index *> all;
        for (const Index &index : seen.relations.indexes)
            all.push_back(&index);
        return advice::unused_indexes(seen.relations, seen.index_usage, all);
    }
    // Two indexes that differ as told must not be taken for the same.
    size_t redundant() { return redundant_indexes(seen.relations).size(); }
};

Catalog twins()
{
    Catalog catalog;
    catalog.index("a", {1, 2});
    catalog.index("b", {1, 2});
    return catalog;
}

} // namespace

TEST(DuplicateIndexes, FindsTheSame)
{
    Catalog catalog = twins();
    EXPECT_EQ(status("duplicate_indexes", catalog.seen), Status::warning);
    EXPECT_EQ(worst("duplicate_indexes", catalog.seen).fix, "DROP INDEX CONCURRENTLY public.b;");
    EXPECT_EQ(worst("duplicate_indexes", catalog.seen).drops_index, 2001u);
}

TEST(DuplicateIndexes, EverythingThatTellsIndexesApart)
{
    const std::vector<void (*)(Catalog &)> differences = {
        [](Catalog &c) { c.seen.relations.indexes[1].predicate_hash = 5; },
        [](Catalog &c) { c.column(1, 1).attribute = 3; },
        [](Catalog &c) { std::swap(c.column(1, 0), c.column(1, 1)); },
        [](Catalog &c) { c.column(1, 0).collation = 100; },
        [](Catalog &c) { c.column(1, 0).operator_class = 7; },
        [](Catalog &c) { c.column(1, 1).options = 3; },
        [](Catalog &c) { c.seen.relations.indexes[1].relation.access_method = advice::gist_method; },
        [](Catalog &c) { c.seen.relations.indexes[1].valid = false; },
        [](Catalog &c) { c.seen.relations.indexes[1].table = 1001; },
        [](Catalog &c) {
            for (size_t i : {0, 1}) {
                c.column(i, 0).attribute = 0;
                c.seen.relations.indexes[i].expressions_hash = i + 1;
            }
        },
        [](Catalog &c) {
            for (Index &index : c.seen.relations.indexes)
                index.unique = true;
            c.seen.relations.indexes[1].nulls_not_distinct = true;
        },
    };
    for (size_t i = 0; i < differences.size(); ++i) {
        Catalog catalog = twins();
        ASSERT_EQ(catalog.redundant(), 1u);
        differences[i](catalog);
        EXPECT_EQ(catalog.redundant(), 0u) << "difference " << i;
    }
}

TEST(DuplicateIndexes, IncludedColumnsCount)
{
    Catalog catalog;
    catalog.index("wide", {1, 2}).key_columns = 1; // (1) INCLUDE (2)
    catalog.index("other", {1, 3}).key_columns = 1;
    EXPECT_EQ(catalog.redundant(), 0u);
    catalog.index("narrow", {1});
    const auto found = redundant_indexes(catalog.seen.relations);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_STREQ(found[0].index->relation.name, "narrow");
}

TEST(DuplicateIndexes, PrefixOfABtreeOnly)
{
    Catalog catalog;
    catalog.index("prefix", {1});
    catalog.index("longer", {1, 2});
    catalog.index("second", {2});
    const auto found = redundant_indexes(catalog.seen.relations);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_STREQ(found[0].index->relation.name, "prefix");
    EXPECT_STREQ(found[0].keeper->relation.name, "longer");
    EXPECT_FALSE(found[0].identical);
    for (Index &index : catalog.seen.relations.indexes)
        index.relation.access_method = advice::gist_method;
    EXPECT_EQ(catalog.redundant(), 0u);
}

TEST(DuplicateIndexes, UniquePrefixStays)
{
    Catalog catalog;
    catalog.index("prefix", {1}).unique = true;
    catalog.index("longer", {1, 2});
    EXPECT_EQ(catalog.redundant(), 0u);
}

TEST(DuplicateIndexes, VictimIsNeverNeeded)
{
    for (const auto need : {&Index::primary, &Index::backs_constraint, &Index::replica_identity}) {
        Catalog catalog = twins();
        for (Index &index : catalog.seen.relations.indexes)
            index.unique = true;
        catalog.seen.relations.indexes[1].*need = true; // the newer one, so that its need decides
        catalog.seen.relations.indexes[0].scans = 1000;
        const auto found = redundant_indexes(catalog.seen.relations);
        ASSERT_EQ(found.size(), 1u);
        EXPECT_STREQ(found[0].index->relation.name, "a");
        catalog.seen.relations.indexes[0].*need = true;
        EXPECT_EQ(catalog.redundant(), 0u);
    }
}

TEST(DuplicateIndexes, TheUsedOneOfAPairStaysAndOneOfThreeIsKept)
{
    Catalog catalog = twins();
    catalog.seen.relations.indexes[1].scans = 10;
    EXPECT_STREQ(redundant_indexes(catalog.seen.relations)[0].index->relation.name, "a");
    catalog.index("c", {1, 2});
    const auto found = redundant_indexes(catalog.seen.relations);
    ASSERT_EQ(found.size(), 2u);
    for (const advice::Redundant &pair : found)
        EXPECT_STREQ(pair.keeper->relation.name, "b");
}

TEST(ForeignKeys, FirstColumnsInAnyOrder)
{
    const auto indexed = [](const std::vector<int16_t> &index, const std::vector<int16_t> &key, auto change) {
        Catalog catalog;
        change(catalog.index("i", index));
        catalog.foreign_key(key);
        return advice::unindexed_foreign_keys(catalog.seen.relations).empty();
    };
    const auto as_is = [](Index &) {};
    EXPECT_TRUE(indexed({1}, {1}, as_is));
    EXPECT_TRUE(indexed({2, 1, 3}, {1, 2}, as_is));  // order does not matter
    EXPECT_FALSE(indexed({3, 1, 2}, {1, 2}, as_is)); // contained, but not first
    EXPECT_FALSE(indexed({1}, {1, 2}, as_is));
    EXPECT_FALSE(indexed({1, 2}, {1, 2}, [](Index &i) { i.key_columns = 1; })); // only included
    EXPECT_FALSE(indexed({1}, {1}, [](Index &i) { i.predicate_hash = 1; }));
    EXPECT_FALSE(indexed({1}, {1}, [](Index &i) { i.valid = false; }));
    EXPECT_FALSE(indexed({1}, {1}, [](Index &i) { i.relation.access_method = 3580; })); // brin
}

// ON CONFLICT and foreign keys take the immediate one only.
TEST(DuplicateIndexes, ImmediateBesideDeferrable)
{
    Catalog catalog = twins();
    for (Index &index : catalog.seen.relations.indexes)
        index.unique = true;
    EXPECT_EQ(catalog.redundant(), 1u);
    catalog.seen.relations.indexes[0].primary = true;
    catalog.seen.relations.indexes[0].immediate = false;
    EXPECT_EQ(catalog.redundant(), 0u);
    catalog.seen.relations.indexes[1].immediate = false;
    EXPECT_EQ(catalog.redundant(), 1u);
}

TEST(ForeignKeys, OnlyLargeTablesAlarm)
{
    Catalog catalog;
    catalog.table(1001, "small", 100);
    catalog.foreign_key({1}, 1001);
    EXPECT_EQ(status("unindexed_foreign_keys", catalog.seen), Status::ok);
    catalog.foreign_key({1});
    catalog.foreign_key({1}); // a copy for a partition of the referenced table
    catalog.seen.constraint_columns[3001] = "\"Odd\", b";
    const Outcome outcome = run("unindexed_foreign_keys", catalog.seen);
    ASSERT_EQ(outcome.findings.size(), 1u);
    EXPECT_EQ(outcome.findings[0].status, Status::warning);
    EXPECT_EQ(outcome.findings[0].fix, "CREATE INDEX CONCURRENTLY ON public.t (\"Odd\", b);");
    catalog.seen.file_bytes[1000] = int64_t{2000} << 20;
    EXPECT_EQ(status("unindexed_foreign_keys", catalog.seen), Status::critical);
}

TEST(ForeignKeys, NotEnforcedReadsNothing)
{
    Catalog catalog;
    catalog.foreign_key({1});
    EXPECT_EQ(status("unindexed_foreign_keys", catalog.seen), Status::warning);
    catalog.seen.relations.constraints[0].enforced = false;
    EXPECT_EQ(status("unindexed_foreign_keys", catalog.seen), Status::ok);
    catalog.index("i", {1});
    EXPECT_TRUE(catalog.unused()[0].droppable); // no key needs it
}

TEST(InvalidIndexes, NotThoseBeingBuiltNorPartitionedOnes)
{
    Catalog catalog;
    EXPECT_EQ(status("invalid_indexes", catalog.seen), Status::ok);
    catalog.index("broken", {1}).valid = false;
    EXPECT_EQ(worst("invalid_indexes", catalog.seen).fix, "REINDEX INDEX CONCURRENTLY public.broken;");
    catalog.seen.relations.indexes[0].in_work = true;
    EXPECT_EQ(status("invalid_indexes", catalog.seen), Status::ok);
    Index &parent = catalog.index("parent", {1});
    parent.valid = false;
    parent.relation.kind = 'I';
    EXPECT_EQ(status("invalid_indexes", catalog.seen), Status::ok);
}

TEST(InvalidIndexes, LeftoversAreDropped)
{
    for (const char *name : {"i_ccnew", "i_ccold", "i_ccnew1", "i_ccold12"}) {
        Catalog catalog;
        catalog.index(name, {1}).valid = false;
        EXPECT_EQ(worst("invalid_indexes", catalog.seen).fix,
                  std::string("DROP INDEX CONCURRENTLY public.") + name + ";");
    }
}

TEST(UnusedIndexes, LongWatchedAndNeededByNothing)
{
    Catalog catalog;
    catalog.index("i", {1});
    ASSERT_EQ(catalog.unused().size(), 1u);
    EXPECT_TRUE(catalog.unused()[0].droppable);
    EXPECT_EQ(worst("unused_indexes", catalog.seen).fix, "DROP INDEX CONCURRENTLY public.i;");
    catalog.seen.relations.indexes[0].scans = 1;
    EXPECT_EQ(catalog.unused().size(), 0u);
    EXPECT_EQ(status("unused_indexes", catalog.seen), Status::ok);
}

// Counters of a lifetime do not take an index out; a scan within the window does.
TEST(UnusedIndexes, CandidatesByTheWindowAndTheirSize)
{
    Catalog catalog;
    catalog.index("i", {1});
    Index &index = catalog.seen.relations.indexes[0];
    observed::OidMap parents;
    const auto candidates = [&](int64_t least = int64_t{5000} * 8192) {
        return advice::unused_candidates(catalog.seen.relations, parents, today, least,
                                         [](const Index &one) { return int64_t{8192} * one.relation.pages; });
    };
    EXPECT_EQ(candidates().indexes.size(), 1u);
    EXPECT_EQ(candidates().bytes.at(2000), int64_t{5000} * 8192);
    EXPECT_EQ(candidates(int64_t{5000} * 8192 + 1).indexes.size(), 0u);
    index.scans = 1000000; // when, the history must tell
    EXPECT_EQ(candidates().indexes.size(), 1u);
    index.last_scan = base::Timestamp{today.microseconds - 34 * day};
    EXPECT_EQ(candidates().indexes.size(), 0u);
    index.last_scan = base::Timestamp{today.microseconds - 35 * day};
    EXPECT_EQ(candidates().indexes.size(), 1u);
    EXPECT_TRUE(catalog.unused().at(0).droppable);
    EXPECT_EQ(status("unused_indexes", catalog.seen), Status::warning);
}

TEST(UnusedIndexes, CandidatesOfPartitions)
{
    Catalog catalog;
    catalog.index("whole", {1}).relation.kind = 'I';
    catalog.index("part_1", {1}).relation.is_partition = true;
    catalog.index("part_2", {1}).relation.is_partition = true;
    observed::OidMap parents;
    parents.emplace(2001, 2000);
    parents.emplace(2002, 2000);
    const auto candidates = [&](int64_t least) {
        return advice::unused_candidates(catalog.seen.relations, parents, today, least,
                                         [](const Index &one) { return int64_t{8192} * one.relation.pages; });
    };
    const int64_t sum = int64_t{2} * 5000 * 8192;
    EXPECT_EQ(candidates(sum).indexes.size(), 3u); // the parts tell whether the whole is used
    EXPECT_EQ(candidates(sum).bytes.size(), 1u);
    EXPECT_EQ(candidates(sum).bytes.at(2000), sum);
    EXPECT_EQ(candidates(sum + 1).indexes.size(), 0u);
    catalog.seen.relations.indexes[2].last_scan = base::Timestamp{today.microseconds - day};
    EXPECT_EQ(candidates(0).indexes.size(), 0u);
}

TEST(UnusedIndexes, ReasonsToStay)
{
    const std::vector<void (*)(Catalog &)> reasons = {
        [](Catalog &c) { c.seen.relations.indexes[0].primary = true; },
        [](Catalog &c) { c.seen.relations.indexes[0].backs_constraint = true; },
        [](Catalog &c) { c.seen.relations.indexes[0].replica_identity = true; },
        [](Catalog &c) { c.seen.relations.indexes[0].unique = true; },
        [](Catalog &c) { c.foreign_key({1}); },
        [](Catalog &c) { c.seen.index_usage.counted_since->microseconds = today.microseconds - 34 * day; },
        [](Catalog &c) { c.seen.index_usage.counted_since.reset(); },
        [](Catalog &c) {
            c.seen.index_usage.past[2000].file_created = base::Timestamp{today.microseconds - day};
        },
        [](Catalog &c) { c.seen.index_usage.past[2000].file_created.reset(); },
        [](Catalog &c) { c.seen.index_usage.in_recovery = true; },
        [](Catalog &c) { c.seen.relations.indexes[0].valid = false; },
    };
    for (size_t i = 0; i < reasons.size(); ++i) {
        Catalog catalog;
        catalog.index("i", {1});
        reasons[i](catalog);
        ASSERT_EQ(catalog.unused().size(), 1u) << "still listed: " << i;
        EXPECT_FALSE(catalog.unused()[0].droppable) << "reason " << i;
        EXPECT_FALSE(catalog.unused()[0].reason.empty());
        EXPECT_EQ(status("unused_indexes", catalog.seen), Status::ok);
    }
}

TEST(UnusedIndexes, OneOfTwoSupportersOfAForeignKeyMayGo)
{
    Catalog catalog;
    catalog.index("large", {1});
    catalog.index("small", {1, 2}).relation.pages = 10;
    catalog.foreign_key({1});
    ASSERT_EQ(catalog.unused().size(), 2u);
    EXPECT_TRUE(catalog.unused()[0].droppable);
    EXPECT_FALSE(catalog.unused()[1].droppable);
}

TEST(UnusedIndexes, StandbysAreNamed)
{
    Catalog catalog;
    catalog.index("i", {1});
    catalog.seen.index_usage.standbys = {"reporting"};
    EXPECT_NE(catalog.unused()[0].reason.find("reporting"), std::string::npos);
}

TEST(UnusedIndexes, DeclaredStandbysHaveASay)
{
    Catalog catalog;
    catalog.index("i", {1});
    EXPECT_TRUE(catalog.unused()[0].droppable);
    catalog.seen.index_usage.silent_standbys = {"replica"};
    EXPECT_FALSE(catalog.unused()[0].droppable) << "nobody knows whether it uses the index";
    EXPECT_NE(catalog.unused()[0].reason.find("replica"), std::string::npos);
    catalog.seen.index_usage.silent_standbys.clear();
    catalog.seen.index_usage.past[catalog.seen.relations.indexes[0].relation.oid].standby_use =
        "replica (last on Monday)";
    EXPECT_FALSE(catalog.unused()[0].droppable);
    EXPECT_EQ(catalog.unused()[0].reason, "a standby uses it: replica (last on Monday)");
}

TEST(UnusedIndexes, APartitionedIndexIsOne)
{
    Catalog catalog;
    catalog.index("parent", {1}).relation.kind = 'I';
    catalog.index("part1", {1}).relation.is_partition = true;
    catalog.index("part2", {1}).relation.is_partition = true;
    catalog.seen.index_usage.parents.emplace(2001, 2000);
    catalog.seen.index_usage.parents.emplace(2002, 2000);
    ASSERT_EQ(catalog.unused().size(), 3u);
    EXPECT_TRUE(catalog.unused()[0].droppable);
    EXPECT_FALSE(catalog.unused()[1].droppable);
    catalog.seen.relations.indexes[1].scans = 3;
    ASSERT_EQ(catalog.unused().size(), 1u);
    EXPECT_STREQ(catalog.unused()[0].index->relation.name, "part2");
    EXPECT_NE(catalog.unused()[0].reason.find("part1"), std::string::npos);
    catalog.seen.relations.indexes[1].scans = 0;
    catalog.seen.index_usage.past[2001].standby_use = "replica (last on Monday)";
    EXPECT_EQ(catalog.unused().size(), 2u) << "the whole is in use where a part is";
}

TEST(QuietSince, GoesBackThroughTheHistory)
{
    const auto ago = [](int64_t days) { return base::Timestamp{today.microseconds - days * day}; };
    struct Case {
        const char *what;
        int64_t scans, counted_days, created_days;
        std::vector<observed::UsageRecord> records;
        int64_t days; // -1: not known
    };
    const std::vector<Case> cases = {
        {"never reset", 0, 100, 90, {}, 90},
        {"reset lately", 0, 3, 90, {}, 3},
        {"reset lately, the past on record", 0, 3, 90, {{ago(50), ago(50), ago(4), 0}}, 50},
        {"used before, then still until the reset", 0, 3, 90, {{ago(50), ago(40), ago(4), 17}}, 40},
        {"too long unseen before the reset", 0, 3, 90, {{ago(50), ago(50), ago(6), 0}}, 3},
        {"used since the reset", 5, 3, 90, {{ago(50), ago(50), ago(4), 0}}, -1},
        {"the counter stands still", 5, 100, 90, {{ago(100), ago(60), ago(1), 5}}, 60},
        {"the counter moved since", 6, 100, 90, {{ago(100), ago(60), ago(1), 5}}, -1},
        {"a rebuild lately, the past on record", 0, 100, 2, {{ago(100), ago(60), ago(1), 0}}, 60},
        {"two resets", 0, 3, 90, {{ago(20), ago(20), ago(4), 0}, {ago(80), ago(70), ago(21), 9}}, 70},
    };
    for (const Case &one : cases) {
        Catalog catalog;
        catalog.index("i", {1}).scans = one.scans;
        catalog.seen.index_usage.counted_since = ago(one.counted_days);
        catalog.seen.index_usage.past[2000] = {ago(one.created_days), one.records};
        const auto since = advice::quiet_since(catalog.seen.relations.indexes[0], catalog.seen.index_usage);
        EXPECT_EQ(since ? (today.microseconds - since->microseconds) / day : -1, one.days) << one.what;
    }
}

} // namespace opsrunbook::test
