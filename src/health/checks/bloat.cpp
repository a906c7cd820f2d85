// Large tables and indexes of which much is wasted, by the pages that the diagnosis sampled.
#include "health/checks/checks.hpp"

#include "advice/bloat/recommend.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::size_text;
using observed::Bloat;

// Less is not worth anybody's night, whatever its share.
constexpr int64_t least_wasted = 1ll << 30;

struct Named {
    std::string object, target; // target: what a command names
};

Named name_of(const observed::Relations &relations, const Bloat &bloat)
{
    if (const observed::Table *table = relations.table(bloat.relation)) {
        const auto owner = relations.toast_owner.find(bloat.relation);
        const std::string object = relations.name(table->relation);
        return {object, owner == relations.toast_owner.end()
                            ? object
                            : relations.name(relations.tables[owner->second].relation)};
    }
    for (const observed::Index &index : relations.indexes)
        if (index.relation.oid == bloat.relation)
            return {relations.name(index.relation), relations.name(index.relation)};
    return {format("relation %u", bloat.relation), format("-- relation %u", bloat.relation)};
}

std::string ago(const Bloat &bloat)
{
    return bloat.seconds_ago ? format(" (measured %s ago)", base::duration_text(*bloat.seconds_ago).c_str())
                             : "";
}

void judge_bloat(const Observations &seen, Judge &judge, bool index)
{
    int64_t measured = 0;
    std::vector<std::string> left_out;
    for (const Bloat &bloat : seen.bloat) {
        if (bloat.index != index)
            continue;
        const Named name = name_of(seen.relations, bloat);
        if (bloat.out_of_budget) {
            left_out.push_back(name.object);
            continue;
        }
        if (!bloat.measured()) {
            Finding &finding = judge.found(
                Status::unknown, name.object,
                format("bloat of %s is not known: %s", name.object.c_str(), bloat.unmeasured.c_str()));
            finding.fix = format("SELECT * FROM opsrunbook.measure_bloat(%u);", bloat.relation);
            continue;
        }
        ++measured;
        if (bloat.wasted_bytes() < least_wasted)
            continue;
        const double pct = bloat.wasted_pct();
        Finding *finding =
            judge.measure(pct, name.object,
                          format("%.0f %% of %s (%s of %s) is %s%s", pct, name.object.c_str(),
                                 size_text(bloat.wasted_bytes()).c_str(), size_text(bloat.bytes).c_str(),
                                 index ? "what a rebuild would give back" : "dead rows and free space",
                                 ago(bloat).c_str()));
        if (!finding)
            continue;
        finding->evidence.add("bloat_pct", bloat.pct)
            .add("interval_low_pct", bloat.low_pct)
            .add("interval_high_pct", bloat.high_pct)
            .add("wasted_bytes", bloat.wasted_bytes())
            .add("method", bloat.method);
        if (!index)
            finding->evidence.add("dead_pct", bloat.dead_pct).add("reserved_pct", bloat.reserved_pct);
        const advice::Remedy remedy =
            index ? advice::index_remedy(bloat, name.target) : advice::table_remedy(bloat, name.target);
        finding->evidence.add("recommendation", remedy.text);
        finding->fix = remedy.command.empty() ? "-- " + remedy.text : remedy.command;
    }
    if (!left_out.empty()) {
        const std::string those =
            base::plural(static_cast<int64_t>(left_out.size()), index ? "index" : "table");
        judge.unknown(format("%s of 1 GB or more not looked at: the time a diagnosis spends on sampling was "
                             "used up",
                             those.c_str()),
                      std::move(left_out));
        judge.findings.back().fix = index ? "SELECT * FROM analyze_index_efficiency();"
                                          : "SELECT * FROM performance.table_bloat_analysis;";
    }
    judge.fine(measured == 0 ? format("no %s of 1 GB or more", index ? "index" : "table")
                             : format("%s of 1 GB or more sampled",
                                      base::plural(measured, index ? "index" : "table").c_str()));
}

void table_bloat(const Observations &seen, Judge &judge)
{
    judge_bloat(seen, judge, false);
}

void index_bloat(const Observations &seen, Judge &judge)
{
    judge_bloat(seen, judge, true);
}

constexpr Check checks[] = {
    {
        .id = "bloat",
        .title = "table bloat",
        .category = Category::storage,
        .points = 20,
        .metric = "table_bloat_pct",
        .unit = "%",
        .warning = 30,
        .critical = 50,
        .explanation =
            "Dead rows and free space of tables of 1 GB and more, where they waste at least 1 GB beyond "
            "what fillfactor reserves and what is too narrow for another row, measured by sampling pages. "
            "Free space is reused by new rows; it costs cache, scans and backups until then.",
        .source = "pgstattuple's dead_tuple_percent + free_percent - what a rewrite would leave free as well",
        .evaluate = table_bloat,
    },
    {
        .id = "index_bloat",
        .title = "index bloat",
        .category = Category::indexes,
        .points = 20,
        .metric = "index_bloat_pct",
        .unit = "%",
        .warning = 30,
        .critical = 50,
        .explanation =
            "What a REINDEX of a btree of 1 GB and more would give back, where that is at least 1 GB, "
            "measured by packing the rows of sampled leaf pages again as CREATE INDEX would.",
        .source = "1 - rebuilt pages / pages",
        .evaluate = index_bloat,
    },
};

} // namespace

std::span<const Check> bloat_checks()
{
    return checks;
}

} // namespace opsrunbook::health
