#include "advice/index_trial/policy.hpp"

#include <gtest/gtest.h>

using namespace opsrunbook::advice;

namespace {

IndexFacts plain()
{
    IndexFacts index;
    index.name = "public.orders_note_idx";
    index.table = "public.orders";
    index.owner = "app";
    return index;
}

} // namespace

TEST(IndexTrial, APlainIndexMayBeHidden)
{
    EXPECT_FALSE(refuse_trial(plain()));
}

TEST(IndexTrial, WhatAnIndexIsNeededForBesidesSpeed)
{
    struct Case {
        void (*change)(IndexFacts &);
        Refusal::Kind kind;
        const char *message;
    };
    for (const Case &one : {
             Case{[](IndexFacts &i) { i.primary = true; }, Refusal::Kind::not_fit, "it is the primary key"},
             Case{[](IndexFacts &i) { i.unique = true; }, Refusal::Kind::not_fit, "it is unique"},
             Case{[](IndexFacts &i) { i.constraint = "constraint x"; }, Refusal::Kind::not_fit,
                  "it enforces a constraint"},
             Case{[](IndexFacts &i) { i.replica_identity = true; }, Refusal::Kind::not_fit,
                  "it is the replica identity"},
             Case{[](IndexFacts &i) { i.foreign_key = "foreign key x"; }, Refusal::Kind::not_fit,
                  "it supports a foreign key"},
             Case{[](IndexFacts &i) { i.clustered = true; }, Refusal::Kind::not_fit,
                  "it is the one that CLUSTER uses"},
             Case{[](IndexFacts &i) { i.standbys = "replica (last on Monday)"; }, Refusal::Kind::not_fit,
                  "it is used on a standby"},
             Case{[](IndexFacts &i) { i.valid = false; }, Refusal::Kind::not_fit, "it is invalid"},
             Case{[](IndexFacts &i) { i.temporary = true; }, Refusal::Kind::not_fit, "it is temporary"},
             Case{[](IndexFacts &i) { i.system = true; }, Refusal::Kind::not_fit, "it belongs to the system"},
             Case{[](IndexFacts &i) { i.partition_of = "public.p"; }, Refusal::Kind::not_fit,
                  "it is part of a partitioned index"},
             Case{[](IndexFacts &i) { i.is_index = false, i.partitioned = true; }, Refusal::Kind::not_fit,
                  "it is partitioned"},
             Case{[](IndexFacts &i) { i.is_index = false; }, Refusal::Kind::not_an_index, "is not an index"},
             Case{[](IndexFacts &i) { i.owned = false; }, Refusal::Kind::not_owner, "must be owner of index"},
         }) {
        IndexFacts index = plain();
        one.change(index);
        const auto refusal = refuse_trial(index);
        ASSERT_TRUE(refusal) << one.message;
        EXPECT_EQ(refusal->kind, one.kind) << one.message;
        EXPECT_NE(refusal->message.find(one.message), std::string::npos) << refusal->message;
        EXPECT_FALSE(refusal->hint.empty()) << one.message;
    }
}

TEST(IndexTrial, AQueryProfitsByMoreThanTheFactor)
{
    EXPECT_TRUE(profits({0, 0, 111}, {0, 0, 100}, 1, 1.1));
    EXPECT_FALSE(profits({0, 0, 110}, {0, 0, 100}, 1, 1.1));
    EXPECT_FALSE(profits({0, 0, 100}, {0, 0, 100}, 1, 1));
    // A cursor wants the first rows: the sort that comes before them counts.
    EXPECT_FALSE(profits({0, 90, 100}, {0, 0, 100}, 1, 1.1));
    EXPECT_TRUE(profits({0, 90, 100}, {0, 0, 100}, 0.1, 1.1));
    // From 18 a disabled node outweighs every cost.
    EXPECT_TRUE(profits({1, 0, 1}, {0, 0, 100}, 1, 1.1));
    EXPECT_FALSE(profits({0, 0, 100}, {1, 0, 1}, 1, 1.1));
}

TEST(IndexTrial, TheModuleInAListOfLibraries)
{
    EXPECT_TRUE(names_module("opsrunbook"));
    EXPECT_TRUE(names_module("pg_stat_statements, opsrunbook"));
    EXPECT_TRUE(names_module("\"$libdir/opsrunbook\",auto_explain"));
    EXPECT_TRUE(names_module("opsrunbook.so"));
    EXPECT_FALSE(names_module(""));
    EXPECT_FALSE(names_module("opsrunbook_extra"));
    EXPECT_FALSE(names_module("not_opsrunbook"));
}
