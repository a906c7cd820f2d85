#include <gtest/gtest.h>

#include "health/check.hpp"

#include "base/no_server_headers.hpp"

namespace {

using namespace opsrunbook;
using namespace opsrunbook::health;

Outcome database_size_of(std::optional<int64_t> bytes)
{
    Observations seen;
    seen.server.database_bytes = bytes;
    return evaluate(seen, Thresholds(), {"database_size"}).at(0);
}

constexpr int64_t gigabyte = int64_t{1} << 30;

TEST(DatabaseSize, Thresholds)
{
    EXPECT_EQ(database_size_of(0).status, Status::ok);
    EXPECT_EQ(database_size_of(5 * gigabyte).status, Status::ok);
    EXPECT_EQ(database_size_of(5 * gigabyte + gigabyte / 10).status, Status::warning);
    EXPECT_EQ(database_size_of(11 * gigabyte).status, Status::critical);
}

TEST(DatabaseSize, UnknownIsNotHealthy)
{
    EXPECT_EQ(database_size_of(std::nullopt).status, Status::unknown);
}

observed::Sequence sequence(int64_t last, int64_t maximum, const char *column_type = "",
                            int64_t increment = 1)
{
    observed::Sequence made;
    made.name = "public.s";
    made.last_value = last;
    made.increment = increment;
    made.start = increment > 0 ? 1 : -1;
    made.minimum = increment > 0 ? 1 : maximum;
    made.maximum = increment > 0 ? maximum : -1;
    made.column_type = column_type;
    if (*column_type) {
        made.table = "public.t";
        made.column = "id";
    }
    return made;
}

Outcome exhaustion_of(const observed::Sequence &one)
{
    Observations seen;
    seen.server.sequences = {one};
    return evaluate(seen, Thresholds(), {"sequence_exhaustion"}).at(0);
}

TEST(SequenceExhaustion, ByTheNarrowerOfSequenceAndColumn)
{
    struct Case {
        int64_t last, maximum;
        const char *type;
        Status expected;
    };
    for (const Case &c : {Case{1, INT64_MAX, "", Status::ok},
                          {75, 100, "", Status::ok},
                          {77, 100, "", Status::warning},
                          {92, 100, "", Status::critical},
                          {2000000000, INT64_MAX, "bigint", Status::ok},
                          {2000000000, INT64_MAX, "integer", Status::critical},
                          {2000000000, INT64_MAX, "", Status::ok},
                          {24000, INT64_MAX, "smallint", Status::ok},
                          {25000, INT64_MAX, "smallint", Status::warning},
                          {95, 100, "integer", Status::critical},
                          {INT64_MAX, INT64_MAX, "", Status::critical}})
        EXPECT_EQ(exhaustion_of(sequence(c.last, c.maximum, c.type)).status, c.expected)
            << c.last << " of " << c.maximum << " " << c.type;
}

TEST(SequenceExhaustion, EitherDirectionAndInCircles)
{
    EXPECT_EQ(exhaustion_of(sequence(-95, -100, "", -1)).status, Status::critical);
    EXPECT_EQ(exhaustion_of(sequence(-10, -100, "", -1)).status, Status::ok);
    EXPECT_EQ(exhaustion_of(sequence(INT64_MIN, INT64_MIN, "", -1)).status, Status::critical);
    observed::Sequence round = sequence(99, 100);
    round.cycles = true;
    EXPECT_EQ(exhaustion_of(round).status, Status::ok);
}

TEST(SequenceExhaustion, TheRemedyWidensWhatEndsFirst)
{
    const Finding column = exhaustion_of(sequence(32767, INT64_MAX, "smallint")).findings.at(0);
    EXPECT_EQ(column.fix, "ALTER TABLE public.t ALTER COLUMN id TYPE bigint;");
    EXPECT_TRUE(column.lethal); // the next insert fails
    const Finding own = exhaustion_of(sequence(95, 100)).findings.at(0);
    EXPECT_EQ(own.fix, "ALTER SEQUENCE public.s AS bigint NO MAXVALUE;");
    EXPECT_EQ(own.undo, "ALTER SEQUENCE public.s MAXVALUE 100;");
    EXPECT_FALSE(own.lethal);
    EXPECT_TRUE(exhaustion_of(sequence(INT64_MAX, INT64_MAX)).findings.at(0).fix.starts_with("-- "));
}

TEST(SequenceExhaustion, WhatIsLockedIsUnknown)
{
    Observations seen;
    seen.shapes.locked_sequences = {"public.s"};
    EXPECT_EQ(evaluate(seen, Thresholds(), {"sequence_exhaustion"}).at(0).status, Status::unknown);
}

} // namespace
