#include "maintenance/duration.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include <gtest/gtest.h>

using namespace opsrunbook::maintenance;

namespace {

constexpr double mb = 1e6;

Work work_of(TaskKind kind, uint32_t relation, double heap_bytes_to_scan)
{
    Work work;
    work.kind = kind;
    work.relation = relation;
    work.heap_bytes_to_scan = work.heap_bytes = heap_bytes_to_scan;
    return work;
}

PastRun run_of(const Work &work, double seconds, double age)
{
    return {work.relation, work.kind, work_bytes(work), seconds, age};
}

} // namespace

TEST(Duration, KindsHaveOneSpelling)
{
    for (int at = 0; at <= static_cast<int>(TaskKind::verify); ++at) {
        const auto kind = static_cast<TaskKind>(at);
        EXPECT_EQ(task_kind_of(task_kind_text(kind)), kind);
    }
    EXPECT_EQ(task_kind_text(TaskKind::vacuum_freeze), "vacuum freeze");
    EXPECT_EQ(task_kind_of("VACUUM"), std::nullopt);
}

TEST(Duration, WorkIsWhatTheKindReads)
{
    Work work;
    work.heap_bytes = 8192 * 1000;
    work.heap_bytes_to_scan = 8192 * 100;
    work.index_bytes = 5e6;
    const double skipped = work.heap_bytes / 32;
    struct Case {
        TaskKind kind;
        double dead_rows, bytes;
    };
    for (const Case &one : {
             Case{TaskKind::vacuum, 0, 8192 * 100 + skipped},
             Case{TaskKind::vacuum, 19, 8192 * 100 + skipped}, // below 2 % of the pages: indexes are bypassed
             Case{TaskKind::vacuum, 20, 8192 * 100 + skipped + 5e6},
             Case{TaskKind::vacuum_freeze, 1000, 8192 * 100 + skipped + 5e6},
             Case{TaskKind::vacuum_full, 0, 8192 * 1000 + 5e6},
             Case{TaskKind::analyze, 0, 8192 * 300},
             Case{TaskKind::reindex, 0, 5e6 + 8192 * 125},
             Case{TaskKind::retention_delete, 0, 8192 * 100},
             Case{TaskKind::backup, 0, 8192 * 1000 + 5e6},
         }) {
        work.kind = one.kind;
        work.dead_rows = one.dead_rows;
        work.sample_rows = one.kind == TaskKind::analyze ? 300 : 0;
        EXPECT_DOUBLE_EQ(work_bytes(work), one.bytes) << task_kind_text(one.kind) << " " << one.dead_rows;
    }
    work.kind = TaskKind::analyze;
    work.sample_rows = 30000; // more than the table has pages
    EXPECT_DOUBLE_EQ(work_bytes(work), work.heap_bytes);
    EXPECT_EQ(work_bytes(Work{}), 0);
}

TEST(Duration, DefaultRates)
{
    Work reindex;
    reindex.kind = TaskKind::reindex;
    reindex.index_bytes = 880 * mb;
    const Duration index = predict_duration(reindex, {});
    EXPECT_NEAR(index.seconds, 10.2, 1e-6);
    EXPECT_EQ(index.basis, "default rate");

    const Duration full = predict_duration(work_of(TaskKind::vacuum_full, 1, 2050 * mb), {});
    EXPECT_NEAR(full.seconds, 10.05, 1e-6);

    for (int kind = 0; kind <= static_cast<int>(TaskKind::verify); ++kind) { // an empty table takes a moment
        const double seconds = predict_duration(work_of(static_cast<TaskKind>(kind), 1, 0), {}).seconds;
        EXPECT_GT(seconds, 0);
        EXPECT_LT(seconds, 5);
    }
}

TEST(Duration, BasisAndShrinking)
{
    // This table takes 10 s a GB, the kind 2 s a GB.
    const Work work = work_of(TaskKind::vacuum, 1, 1000 * mb);
    std::vector<PastRun> kind;
    kind.reserve(15);
    for (int age = 0; age < 15; ++age)
        kind.push_back(
            run_of(work_of(TaskKind::vacuum, 100 + static_cast<uint32_t>(age), 1000 * mb), 2, age));
    const Duration from_kind = predict_duration(work, kind);
    EXPECT_NEAR(from_kind.seconds, 2, 0.01);
    EXPECT_EQ(from_kind.basis, "15 runs of this kind");

    std::vector<PastRun> history = kind;
    double last = from_kind.seconds;
    const char *const bases[] = {"1 run of this table, 16 runs of this kind",
                                 "2 runs of this table, 17 runs of this kind", "3 runs of this table"};
    for (const char *basis : bases) {
        history.push_back(run_of(work, 10, 0));
        const Duration now = predict_duration(work, history);
        EXPECT_GT(now.seconds, last);
        EXPECT_EQ(now.basis, basis);
        last = now.seconds;
    }
    EXPECT_NEAR(last, 10, 1e-9);

    const Duration alone =
        predict_duration(work, {run_of(work, 10, 0)}); // nothing but the default to lean on
    EXPECT_EQ(alone.basis, "1 run of this table");
    EXPECT_GT(alone.seconds, predict_duration(work, {}).seconds);
    EXPECT_LT(alone.seconds, 10);

    Work index = work;
    index.kind = TaskKind::reindex;
    EXPECT_EQ(predict_duration(index, {run_of(index, 1, 0)}).basis, "1 run of this index");
    Work backup = work_of(TaskKind::backup, 0, 1000 * mb); // of no relation
    EXPECT_EQ(predict_duration(backup, {run_of(backup, 1, 0)}).basis, "1 run of this kind");
}

TEST(Duration, OnlyRunsOfTheKindThatMeasuredSomethingCount)
{
    const Work work = work_of(TaskKind::vacuum, 1, 100 * mb);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    std::vector<PastRun> history{run_of(work_of(TaskKind::analyze, 1, 100 * mb), 5, 0), run_of(work, 0, 0),
                                 run_of(work, -1, 0), run_of(work, nan, 0)};
    history.push_back({1, TaskKind::vacuum, nan, 5, 0});
    EXPECT_EQ(predict_duration(work, history).basis, "default rate");
}

TEST(Duration, OneNightOutOfLineDoesNotMatterAndNewRunsWin)
{
    const Work work = work_of(TaskKind::vacuum, 1, 1000 * mb);
    const auto predicted = [&work](const std::vector<double> &newest_first) {
        std::vector<PastRun> history;
        for (size_t at = 0; at < newest_first.size(); ++at)
            history.push_back(run_of(work, newest_first[at], static_cast<double>(at)));
        std::reverse(history.begin(), history.end()); // order in the vector does not count, age does
        return predict_duration(work, history).seconds;
    };
    struct Case {
        std::vector<double> newest_first;
        double seconds;
    };
    for (const Case &one : {
             Case{{10, 10, 10}, 10},
             Case{{500, 10, 10}, 10},
             Case{{10, 10, 500, 10}, 10},
             Case{{10, 0.01, 10}, 10},
             Case{{5, 5, 5, 10, 10, 10, 10}, 5}, // faster disks since three nights
             Case{{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, 5},
         })
        EXPECT_NEAR(predicted(one.newest_first), one.seconds, 1e-9);
}

TEST(Duration, GrowsWithTheWork)
{
    const Work small = work_of(TaskKind::vacuum, 1, 100 * mb);
    const std::vector<PastRun> history{run_of(small, 1, 1), run_of(small, 1, 2), run_of(small, 1, 3)};
    const double ten_times = predict_duration(work_of(TaskKind::vacuum, 1, 1000 * mb), history).seconds;
    EXPECT_GT(ten_times, 9);
    EXPECT_LE(ten_times, 10);
    // A tiny run must not make the table look slow.
    const Work tiny = work_of(TaskKind::vacuum, 1, 8192);
    const std::vector<PastRun> tiny_runs{run_of(tiny, 0.02, 1), run_of(tiny, 0.02, 2), run_of(tiny, 0.02, 3)};
    EXPECT_LT(predict_duration(work_of(TaskKind::vacuum, 1, 1000 * mb), tiny_runs).seconds, 5);
}

// Tables with rates of their own (a factor of up to 4 between them), sizes that change from night to night,
// noise of 10 % and now and then a night at three times the duration.
TEST(Duration, MedianErrorAfterThreeNights)
{
    std::mt19937 random(42);
    std::uniform_real_distribution<double> unit(0, 1);
    std::normal_distribution<double> normal(0, 1);
    const TaskKind kinds[] = {TaskKind::vacuum, TaskKind::vacuum_freeze, TaskKind::analyze,
                              TaskKind::reindex};
    std::vector<PastRun> history;
    std::vector<std::vector<double>> errors(4);
    const uint32_t tables = 200;
    std::vector<double> rates, sizes;
    for (uint32_t table = 0; table < tables; ++table) {
        rates.push_back(std::pow(4, unit(random)) / (400 * mb));
        sizes.push_back(std::pow(10, 1 + 3 * unit(random)) * mb);
    }
    for (std::vector<double> &night : errors) {
        std::vector<PastRun> tonight;
        for (uint32_t table = 0; table < tables; ++table) {
            Work work = work_of(kinds[table % 4], table + 1, sizes[table] * (0.5 + unit(random)));
            work.index_bytes = work.heap_bytes / 3;
            work.dead_rows = work.heap_bytes / 1000;
            work.sample_rows = 30000;
            double seconds = 0.03 + rates[table] * work_bytes(work) * std::exp(0.1 * normal(random));
            const double predicted = predict_duration(work, history).seconds;
            night.push_back(std::fabs(predicted / seconds - 1));
            if (unit(random) < 0.05)
                seconds *= 3;
            tonight.push_back(run_of(work, seconds, 0));
        }
        for (PastRun &run : history)
            run.age += 1;
        history.insert(history.end(), tonight.begin(), tonight.end());
    }
    std::printf("  median error by nights of history:");
    std::vector<double> medians;
    for (std::vector<double> &night : errors) {
        std::sort(night.begin(), night.end());
        medians.push_back(night[tables / 2]);
        std::printf(" %zu: %.1f %%", medians.size() - 1, 100 * medians.back());
    }
    std::printf("\n");
    EXPECT_LE(medians[3], 0.15);
    EXPECT_LT(medians[3], medians[0]);
}
