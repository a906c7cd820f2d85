#include "maintenance/duration.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

struct KindRow {
    TaskKind kind;
    std::string_view text;
    double bytes_per_second; // of work_bytes()
    double fixed_seconds;    // starting the worker, taking locks, committing: the whole of a small task
};

// Before there is any history.  Between a warm cache (VACUUM 500 to 2,000 MB/s, ANALYZE 2,000 MB/s) and a
// disk, because a first prediction that is too short overruns the window.  REINDEX CONCURRENTLY and VACUUM
// FULL were measured; the fixed time of REINDEX are its three waits for older transactions.
constexpr KindRow kinds[] = {
    {TaskKind::vacuum, "vacuum", 300e6, 0.02},
    {TaskKind::vacuum_freeze, "vacuum freeze", 300e6, 0.02},
    {TaskKind::vacuum_full, "vacuum full", 205e6, 0.05},
    {TaskKind::analyze, "analyze", 500e6, 0.02},
    {TaskKind::reindex, "reindex", 88e6, 0.2},
    {TaskKind::drop_leftover, "drop leftover", 1e9, 0.1},
    {TaskKind::drop_orphan, "drop orphan", 1e9, 0.1},
    {TaskKind::retention_delete, "retention delete", 20e6, 0.05},
    {TaskKind::backup, "backup", 100e6, 2},
    {TaskKind::verify, "verify", 200e6, 0.02},
};

constexpr size_t newest_of_relation = 10, newest_of_kind = 50;
constexpr double relation_decay = 0.8, kind_decay = 0.97; // weight of a run relative to the next newer one
constexpr double relation_runs_trusted = 3, kind_runs_trusted = 5;

const KindRow &row_of(TaskKind kind)
{
    return *std::find_if(std::begin(kinds), std::end(kinds),
                         [kind](const KindRow &row) { return row.kind == kind; });
}

// The fixed time counts as bytes at the default rate, so that small tasks do not look infinitely slow per
// byte.
double effective_bytes(TaskKind kind, double bytes)
{
    const KindRow &row = row_of(kind);
    return (std::isfinite(bytes) ? std::max(bytes, 0.0) : 0.0) + row.fixed_seconds * row.bytes_per_second;
}

// log(seconds per effective byte), to be drawn from by age.
struct Sample {
    double age;
    double log_rate;
};

struct Learned {
    double log_rate = 0;
    size_t runs = 0;
};

Learned learn(std::vector<Sample> samples, size_t newest, double decay)
{
    std::stable_sort(samples.begin(), samples.end(),
                     [](const Sample &a, const Sample &b) { return a.age < b.age; });
    if (samples.size() > newest)
        samples.resize(newest);
    struct Weighted {
        double log_rate, weight;
    };
    std::vector<Weighted> weighted;
    double weight = 1, total = 0;
    for (const Sample &sample : samples) {
        weighted.push_back({sample.log_rate, weight});
        total += weight;
        weight *= decay;
    }
    std::sort(weighted.begin(), weighted.end(),
              [](const Weighted &a, const Weighted &b) { return a.log_rate < b.log_rate; });
    double below = 0;
    for (const Weighted &one : weighted) {
        below += one.weight;
        if (below >= total / 2)
            return {one.log_rate, weighted.size()};
    }
    return {};
}

// `own` when there are runs enough, else in proportion between it and `general`.
double shrunk(const Learned &own, double trusted, double general)
{
    const double share = std::min(1.0, static_cast<double>(own.runs) / trusted);
    return share * own.log_rate + (1 - share) * general;
}

std::string runs_text(size_t runs, std::string_view of)
{
    return std::to_string(runs) + (runs == 1 ? " run of this " : " runs of this ") + std::string(of);
}

std::string basis_text(const Work &work, const Learned &own, const Learned &kind)
{
    const std::string_view what = work.kind == TaskKind::reindex ? "index" : "table";
    std::vector<std::string> parts;
    if (own.runs > 0)
        parts.push_back(runs_text(own.runs, what));
    if (static_cast<double>(own.runs) < relation_runs_trusted && kind.runs > own.runs)
        parts.push_back(runs_text(kind.runs, "kind"));
    return parts.empty() ? "default rate" : base::join(parts, ", ");
}

} // namespace

std::string_view task_kind_text(TaskKind kind)
{
    return row_of(kind).text;
}

std::optional<TaskKind> task_kind_of(std::string_view text)
{
    for (const KindRow &row : kinds)
        if (row.text == text)
            return row.kind;
    return std::nullopt;
}

double work_bytes(const Work &work)
{
    constexpr double skipping = 32;       // an all-visible page costs this much less than a scanned one
    constexpr double reindex_heap = 8;    // reading the heap, twice, against building the index
    constexpr double bypass_share = 0.02; // of the heap's pages with dead rows
    const double sampled =
        std::min(work.heap_bytes, work.sample_rows * work.block_bytes); // every row on a page of its own
    switch (work.kind) {
    case TaskKind::vacuum:
    case TaskKind::vacuum_freeze: {
        const bool indexes =
            work.dead_rows > 0 && work.dead_rows >= bypass_share * work.heap_bytes / work.block_bytes;
        return work.heap_bytes_to_scan + work.heap_bytes / skipping + (indexes ? work.index_bytes : 0) +
               sampled;
    }
    case TaskKind::analyze:
        return sampled;
    case TaskKind::reindex:
        return work.index_bytes + work.heap_bytes / reindex_heap;
    case TaskKind::retention_delete:
        return work.heap_bytes_to_scan;
    case TaskKind::vacuum_full:
    case TaskKind::drop_leftover:
    case TaskKind::drop_orphan:
    case TaskKind::backup:
    case TaskKind::verify:
        break;
    }
    return work.heap_bytes + work.index_bytes;
}

Duration predict_duration(const Work &work, const std::vector<PastRun> &history)
{
    std::vector<Sample> own_samples, kind_samples;
    for (const PastRun &run : history) {
        if (run.kind != work.kind || !std::isfinite(run.seconds) || run.seconds <= 0 ||
            !std::isfinite(run.bytes))
            continue;
        const Sample sample{run.age, std::log(run.seconds / effective_bytes(run.kind, run.bytes))};
        kind_samples.push_back(sample);
        if (work.relation != 0 && run.relation == work.relation)
            own_samples.push_back(sample);
    }
    const Learned own = learn(std::move(own_samples), newest_of_relation, relation_decay);
    const Learned kind = learn(std::move(kind_samples), newest_of_kind, kind_decay);
    const double default_rate = -std::log(row_of(work.kind).bytes_per_second);
    const double log_rate = shrunk(own, relation_runs_trusted, shrunk(kind, kind_runs_trusted, default_rate));
    return {std::exp(log_rate) * effective_bytes(work.kind, work_bytes(work)), basis_text(work, own, kind)};
}

} // namespace opsrunbook::maintenance
