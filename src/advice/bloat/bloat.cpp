#include "advice/bloat/bloat.hpp"

#include <algorithm>
#include <cmath>

#include "advice/bloat/candidates.hpp"
#include "advice/bloat/measure.hpp"
#include "advice/bloat/recommend.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "observed/pages.hpp"
#include "pg/catalog/relations.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::Value;
using observed::Bloat;
using observed::Relation;
using observed::Relations;
using observed::Table;

constexpr uint64_t default_budget = 100000;

Value points(double pct)
{
    return std::round(pct * 100) / 100;
}

Value text_or_null(const std::string &text)
{
    return text.empty() ? Value() : Value(text);
}

uint64_t budget_of(const pg::Arguments &arguments)
{
    const int64_t budget = arguments.integer(0, default_budget);
    if (budget < 0)
        throw base::Error(base::ErrorKind::invalid_input, "page budget must not be negative",
                          base::format("page_budget is %lld.", static_cast<long long>(budget)));
    return static_cast<uint64_t>(budget);
}

const Relation &named(const Relations &relations, const Relation &relation) // what a command names
{
    const auto owner = relations.toast_owner.find(relation.oid);
    return owner == relations.toast_owner.end() ? relation : relations.tables[owner->second].relation;
}

Value when_measured(const Bloat &bloat, Value value)
{
    return bloat.measured() ? std::move(value) : Value();
}

Value last_vacuum(const observed::TableCounters &counters)
{
    const base::Timestamp last = std::max(counters.last_vacuum, counters.last_autovacuum);
    return last.microseconds == 0 ? Value() : Value(last);
}

const char *verdict_of(const observed::Index &index, const Bloat &bloat, const Remedy &remedy)
{
    return !index.valid              ? "invalid"
           : !remedy.command.empty() ? "bloated"
           : index.scans == 0        ? "unused"
           : bloat.measured()        ? "healthy"
                                     : "used";
}

} // namespace

void measure_bloat_of(const pg::Arguments &arguments, pg::Rows &rows)
{
    const auto relation = static_cast<uint32_t>(arguments.integer(0));
    SamplingLimits limits;
    if (!arguments.is_null(1)) {
        const int64_t most = arguments.integer(1);
        if (most < 10)
            throw base::Error(base::ErrorKind::invalid_input, "max_pages is too small for a sample",
                              base::format("max_pages is %lld.", static_cast<long long>(most)),
                              "Ask for at least 10 pages.");
        limits.most = static_cast<uint64_t>(most);
        limits.whole = std::max(limits.whole, limits.most);
        limits = limits.within(limits.most);
    }
    const Bloat bloat = measure_bloat(relation, limits);
    const int64_t wasted = static_cast<int64_t>(bloat.pct / 100 * static_cast<double>(bloat.bytes));
    const auto known = [&](Value value) { return when_measured(bloat, std::move(value)); };
    const auto of_table = [&](double pct) { return bloat.index ? Value() : known(points(pct)); };
    rows.add({known(points(bloat.pct)), known(points(bloat.low_pct)), known(points(bloat.high_pct)),
              bloat.confidence, text_or_null(bloat.method), text_or_null(bloat.unmeasured),
              bloat.measured() ? Value(bloat.bytes) : Value(), known(wasted), known(base::size_text(wasted)),
              known(bloat.pages), known(bloat.sampled), of_table(bloat.dead_pct), of_table(bloat.free_pct),
              of_table(bloat.reserved_pct), bloat.index ? known(points(bloat.deleted_pct)) : Value()});
}

void estimate_bloat(const pg::Arguments &arguments, pg::Rows &rows)
{
    Triage triage;
    triage.budget = budget_of(arguments);
    const Relations relations = pg::read_relations();
    const auto [candidates, tables] = table_candidates(relations, triage);
    const std::vector<Bloat> measured = measure_all(candidates, triage);
    std::vector<size_t> order(measured.size());
    for (size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return (measured[a].measured() ? measured[a].wasted_bytes() : -1) >
               (measured[b].measured() ? measured[b].wasted_bytes() : -1);
    });
    for (const size_t i : order) {
        const Bloat &bloat = measured[i];
        const Table &table = *tables[i];
        const Relation &target = named(relations, table.relation);
        const Remedy remedy = table_remedy(bloat, relations.name(target));
        const observed::Schema *schema = relations.schema(table.relation.schema);
        const auto bytes = static_cast<int64_t>(bloat.pct / 100 * static_cast<double>(bloat.bytes));
        const auto known = [&](Value value) { return when_measured(bloat, std::move(value)); };
        const int64_t size = bloat.bytes != 0 || bloat.measured()
                                 ? bloat.bytes
                                 : static_cast<int64_t>(candidates[i].pages) * observed::page_bytes;
        rows.add({schema ? Value(schema->name) : Value(),
                  std::string(table.relation.name),
                  size,
                  base::size_text(size),
                  known(bytes),
                  known(base::size_text(bytes)),
                  known(points(bloat.pct)),
                  bloat.confidence,
                  bloat.measured() ? Value(bloat.method) : Value("not measured"),
                  table.counters.dead_rows,
                  table.counters.live_rows,
                  last_vacuum(table.counters),
                  remedy.text,
                  text_or_null(remedy.command),
                  known(points(bloat.low_pct)),
                  known(points(bloat.high_pct)),
                  known(points(bloat.dead_pct)),
                  known(points(bloat.free_pct)),
                  known(points(bloat.reserved_pct)),
                  text_or_null(bloat.unmeasured),
                  &target == &table.relation ? Value() : Value(relations.name(target))});
    }
}

void analyze_index_efficiency(const pg::Arguments &arguments, pg::Rows &rows)
{
    Triage triage;
    triage.budget = budget_of(arguments);
    const Relations relations = pg::read_relations();
    const auto [candidates, indexes] = index_candidates(relations);
    const std::vector<Bloat> measured = measure_all(candidates, triage);
    for (size_t i = 0; i < measured.size(); ++i) {
        const observed::Index &index = *indexes[i];
        const Bloat &bloat = measured[i];
        const observed::Schema *schema = relations.schema(index.relation.schema);
        const std::string name = relations.name(index.relation);
        Remedy remedy = index_remedy(bloat, name);
        const std::string verdict = verdict_of(index, bloat, remedy);
        if (verdict == "invalid")
            remedy = {"a build failed or is under way: the index costs writes and serves no query",
                      base::format("REINDEX INDEX CONCURRENTLY %s;", name.c_str())};
        else if (verdict == "unused")
            remedy.text =
                "not scanned since the statistics began; see get_unused_indexes() before dropping it";
        const auto bytes = static_cast<int64_t>(candidates[i].pages) * observed::page_bytes;
        const auto known = [&](Value value) { return when_measured(bloat, std::move(value)); };
        rows.add(
            {schema ? Value(schema->name) : Value(), std::string(relations.table(index)->relation.name),
             std::string(index.relation.name), index.scans, index.rows_read, index.rows_fetched,
             index.rows_read > 0 ? points(std::min(100.0, 100.0 * static_cast<double>(index.rows_fetched) /
                                                              static_cast<double>(index.rows_read)))
                                 : Value(),
             bytes, base::size_text(bytes), known(points(bloat.pct)), bloat.confidence, verdict, remedy.text,
             known(points(bloat.low_pct)), known(points(bloat.high_pct)), known(points(bloat.deleted_pct)),
             text_or_null(bloat.method), text_or_null(bloat.unmeasured), text_or_null(remedy.command)});
    }
}

} // namespace opsrunbook::advice
