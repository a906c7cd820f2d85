// Updates that have to write every index of their table.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using observed::Table;

constexpr int full = 100;

// Room on the page helps only updates that would have stayed on it.
void advise(const Observations &seen, const Table &table, const std::string &name, Finding &finding)
{
    const int64_t written = table.counters.updated - table.counters.hot_updated;
    const bool known = table.counters.moved >= 0;
    const bool no_room = known && table.counters.moved > written / 2;
    const int fillfactor = table.relation.fillfactor > 0 ? table.relation.fillfactor : full;
    if (known)
        finding.evidence.add("moved_to_another_page", table.counters.moved);
    finding.evidence.add("fillfactor", static_cast<int64_t>(fillfactor));
    if (known && !no_room) {
        finding.cause = "an index holds a column that these updates change -> every index gets a new entry";
        const observed::Schema *const schema = seen.relations.schema(table.relation.schema);
        finding.fix = format("-- is every index with a changing column needed? SELECT * FROM "
                             "get_index_usage_stats() WHERE schemaname = %s AND tablename = %s;",
                             base::quote_literal(schema ? schema->name : "").c_str(),
                             base::quote_literal(table.relation.name).c_str());
        return;
    }
    constexpr int least = 50, step = 25;
    finding.cause = no_room
                        ? "pages are full -> the new row goes to another page -> every index gets a new entry"
                        : "pages are full, or an index holds a column that these updates change -> every "
                          "index gets a new entry";
    finding.fix =
        format("ALTER TABLE %s SET (fillfactor = %d);", name.c_str(), std::max(least, fillfactor - step));
    finding.undo = fillfactor == full
                       ? format("ALTER TABLE %s RESET (fillfactor);", name.c_str())
                       : format("ALTER TABLE %s SET (fillfactor = %d);", name.c_str(), fillfactor);
}

// A table filled to the brim makes room for itself with its first updates, which VACUUM and pruning turn into
// free space on every page: it is judged once each row was updated several times.
void hot_updates(const Observations &seen, Judge &judge)
{
    constexpr int64_t least_updates = 100000, updates_of_a_row = 5;
    int64_t judged = 0;
    for (const Table &table : seen.relations.tables) {
        if (table.counters.updated < least_updates || table.last_index == 0 || table.relation.kind != 'r' ||
            table.relation.persistence == 't' || !seen.relations.user_owned(table.relation))
            continue;
        const int64_t rows = std::max(static_cast<int64_t>(table.relation.rows), table.counters.live_rows);
        if (table.counters.updated < updates_of_a_row * rows)
            continue;
        ++judged;
        const double pct = 100.0 * static_cast<double>(table.counters.hot_updated) /
                           static_cast<double>(table.counters.updated);
        const std::string name = seen.relations.name(table.relation);
        Finding *const finding = judge.measure(
            pct, name,
            format("%.0f %% of %s updates of %s stayed on their page and left its indexes alone", pct,
                   count_text(table.counters.updated).c_str(), name.c_str()));
        if (!finding)
            continue;
        finding->evidence.add("updated", table.counters.updated)
            .add("hot_updated", table.counters.hot_updated);
        advise(seen, table, name, *finding);
    }
    judge.fine(judged == 0 ? "no table was updated often enough to tell"
                           : format("of %s that is updated often, most updates leave the indexes alone",
                                    base::plural(judged, "table").c_str()));
}

constexpr Check checks[] = {
    {
        .id = "hot_updates",
        .title = "updates that write every index",
        .category = Category::performance,
        .points = 10,
        .metric = "hot_update_pct",
        .unit = "%",
        .direction = Direction::below,
        .warning = 30,
        .explanation =
            "An update whose new row fits on the same page and changes no indexed column (heap-only tuple, "
            "HOT) "
            "leaves the indexes alone, and its old row needs no VACUUM. Where most updates are not of that "
            "kind, "
            "each writes every index of the table. Judged from 100,000 updates and five a row on. A smaller "
            "fillfactor holds for pages written from then on.",
        .source = "pg_stat_all_tables: n_tup_hot_upd / n_tup_upd; n_tup_newpage_upd from 16 on",
        .evaluate = hot_updates,
    },
};

} // namespace

std::span<const Check> update_checks()
{
    return checks;
}

} // namespace opsrunbook::health
