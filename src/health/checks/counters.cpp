// Counters that come to their end: sequences, and keys of a type too narrow for the rows.
#include "health/checks/storage_checks.hpp"

#include <algorithm>

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using observed::Sequence;

struct Range {
    double low, high;
};

std::optional<Range> range_of(const std::string &type)
{
    if (type == "smallint")
        return Range{-32768, 32767};
    if (type == "integer")
        return Range{-2147483648.0, 2147483647};
    return std::nullopt; // bigint ends where every sequence does
}

// Where the sequence stops being of use, in the direction it goes: its own end or that of the column's type.
double limit_of(const Sequence &sequence, bool &column_first)
{
    const bool up = sequence.increment > 0;
    const double own = static_cast<double>(up ? sequence.maximum : sequence.minimum);
    const std::optional<Range> column = range_of(sequence.column_type);
    column_first = column && (up ? column->high < own : column->low > own);
    return column_first ? (up ? column->high : column->low) : own;
}

double used_pct(const Sequence &sequence, double limit)
{
    const double start = static_cast<double>(sequence.start), last = static_cast<double>(sequence.last_value);
    const double sign = sequence.increment > 0 ? 1 : -1;
    const double room = sign * (limit - start);
    if (room <= 0) // it starts at its end, or the column cannot even hold the first value
        return 100;
    return std::clamp(100 * sign * (last - start) / room, 0.0, 100.0);
}

int64_t sequences_there(const Observations &seen)
{
    return std::count_if(seen.relations.others.begin(), seen.relations.others.end(),
                         [&seen](const observed::Relation &relation) {
                             return relation.kind == 'S' && relation.persistence != 't' &&
                                    !(seen.server.in_recovery && relation.persistence == 'u');
                         });
}

// What gives the sequence room again, and what takes that back.
void remedy(const Sequence &sequence, bool column_first, Finding &finding)
{
    const std::string name = sequence.name, own_end = sequence.increment > 0 ? "MAXVALUE" : "MINVALUE";
    const long long end =
        static_cast<long long>(sequence.increment > 0 ? sequence.maximum : sequence.minimum);
    const std::string widen = format("ALTER SEQUENCE %s AS bigint NO %s;", name.c_str(), own_end.c_str());
    const bool narrow_column = sequence.column_type == "smallint" || sequence.column_type == "integer";
    const std::string column = format("ALTER TABLE %s ALTER COLUMN %s TYPE bigint;", sequence.table.c_str(),
                                      sequence.column.c_str());
    if (column_first) {
        finding.fix = column;
        finding.cause =
            "the column's type is narrower than the sequence -> inserts fail with \"out of range\"";
    }
    else if (narrow_column) {
        finding.fix = column + " " + widen;
        finding.cause = "column and sequence end together -> inserts fail";
    }
    else if (end == INT64_MAX || end == INT64_MIN) {
        finding.fix = format("-- %s uses up bigint itself: see why it jumps, then ALTER SEQUENCE %s RESTART",
                             name.c_str(), name.c_str());
    }
    else {
        finding.fix = widen;
        finding.undo = format("ALTER SEQUENCE %s %s %lld;", name.c_str(), own_end.c_str(), end);
    }
}

} // namespace

void sequence_exhaustion(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "sequences"))
        return;
    double most = 0;
    for (const Sequence &sequence : seen.server.sequences) {
        if (sequence.cycles)
            continue;
        bool column_first = false;
        const double limit = limit_of(sequence, column_first), used = used_pct(sequence, limit);
        most = std::max(most, used);
        if (judge.level(used, sequence.name) == Status::ok)
            continue;
        const double left = std::max(0.0, (limit - static_cast<double>(sequence.last_value)) /
                                              static_cast<double>(sequence.increment));
        Finding *finding = judge.measure(
            used, sequence.name,
            format("sequence %s is %.1f %% used up: %s values left%s%s%s", sequence.name.c_str(), used,
                   count_text(static_cast<int64_t>(std::min(left, 9e18))).c_str(),
                   column_first ? " in the type of " : "", column_first ? sequence.table.c_str() : "",
                   column_first ? ("." + sequence.column + " (" + sequence.column_type + ")").c_str() : ""));
        finding->evidence.add("last_value", sequence.last_value)
            .add("limit", limit)
            .add("increment", sequence.increment)
            .add("column_type", sequence.column_type);
        finding->lethal = used >= 100;
        remedy(sequence, column_first, *finding);
    }
    const size_t locked = seen.shapes.locked_sequences.size();
    if (locked > 0)
        judge.unknown(format("%s not read, because somebody holds it locked: %s",
                             base::plural(static_cast<int64_t>(locked), "sequence").c_str(),
                             seen.shapes.locked_sequences.front().c_str()),
                      seen.shapes.locked_sequences);
    const int64_t read = static_cast<int64_t>(seen.server.sequences.size()), all = sequences_there(seen);
    const std::string those = all > read + static_cast<int64_t>(locked)
                                  ? format("the %s most used of %s", count_text(read).c_str(),
                                           base::plural(all, "sequence").c_str())
                                  : base::plural(read, "sequence");
    judge.fine(format("%s; the fullest is %.1f %% used up", those.c_str(), most));
}

void int4_primary_key(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "table shapes"))
        return;
    for (const observed::NarrowKey &key : seen.shapes.narrow_keys) {
        const observed::Table *table = seen.relations.table(key.table);
        const std::optional<Range> range = range_of(key.type);
        if (!table || !range || !seen.relations.user_owned(table->relation))
            continue;
        const double rows = std::max(static_cast<double>(table->relation.rows),
                                     static_cast<double>(table->counters.live_rows));
        const std::string name = seen.relations.name(table->relation);
        Finding *finding = judge.measure(
            100 * rows / range->high, name,
            format(
                "primary key %s.%s is of type %s, and the table has %s rows: %.0f %% of its positive values",
                name.c_str(), key.column.c_str(), key.type.c_str(),
                count_text(static_cast<int64_t>(rows)).c_str(), 100 * rows / range->high));
        if (!finding)
            continue;
        finding->evidence.add("rows", rows).add("type", key.type).add("column", key.column);
        finding->fix =
            format("ALTER TABLE %s ALTER COLUMN %s TYPE bigint;", name.c_str(), key.column.c_str());
        finding->cause =
            "keys are at least as many as rows, and gaps come on top -> inserts fail at the end of the type; "
            "the change rewrites the table under ACCESS EXCLUSIVE, so plan it now";
    }
    judge.fine("no large table has a key of a type too narrow for it");
}

} // namespace opsrunbook::health
