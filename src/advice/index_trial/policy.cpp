#include "advice/index_trial/policy.hpp"

#include <algorithm>

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::format;

Refusal not_fit(const IndexFacts &index, const char *why, std::string detail, std::string hint)
{
    return {Refusal::Kind::not_fit, format("index %s cannot be hidden: it %s", index.name.c_str(), why),
            std::move(detail), std::move(hint)};
}

} // namespace

std::optional<Refusal> refuse_trial(const IndexFacts &index)
{
    const char *const table = index.table.c_str();
    if (index.partitioned)
        return not_fit(index, "is partitioned", format("It is the index of the partitioned table %s.", table),
                       "Only an index of a plain table can be hidden, one at a time.");
    if (!index.is_index)
        return Refusal{Refusal::Kind::not_an_index, format("%s is not an index", index.name.c_str()), "",
                       "Name an index: performance.unused_indexes lists candidates."};
    if (!index.owned)
        return Refusal{Refusal::Kind::not_owner, format("must be owner of index %s", index.name.c_str()),
                       format("It belongs to role %s.", index.owner.c_str()),
                       "Call it as the owner or as a superuser."};
    if (index.system)
        return not_fit(index, "belongs to the system", format("Its table is %s.", table),
                       "Indexes of system catalogs and TOAST tables are never unused.");
    if (index.temporary)
        return not_fit(index, "is temporary", format("Its table is %s.", table), "DROP INDEX it right away.");
    if (!index.partition_of.empty())
        return not_fit(index, "is part of a partitioned index",
                       format("It belongs to %s and cannot be dropped alone.", index.partition_of.c_str()),
                       "Look at the partitioned index as a whole.");
    if (!index.valid)
        return not_fit(index, "is invalid", "The planner does not use it anyway.",
                       format("REINDEX INDEX CONCURRENTLY %s; or DROP INDEX CONCURRENTLY %s;",
                              index.name.c_str(), index.name.c_str()));
    if (index.primary)
        return not_fit(index, "is the primary key", format("It keeps the rows of %s apart.", table),
                       "A primary key is not a matter of speed.");
    if (!index.constraint.empty())
        return not_fit(index, "enforces a constraint",
                       format("It enforces %s of %s.", index.constraint.c_str(), table),
                       "A constraint is not a matter of speed.");
    if (index.replica_identity)
        return not_fit(
            index, "is the replica identity",
            format("Logical replication finds the rows of %s by it.", table),
            format("ALTER TABLE %s REPLICA IDENTITY DEFAULT; if the primary key serves as well.", table));
    if (index.unique)
        return not_fit(index, "is unique", format("It keeps duplicates out of %s.", table),
                       "A rule on the data is not a matter of speed.");
    if (!index.foreign_key.empty())
        return not_fit(index, "supports a foreign key",
                       format("Without it, each DELETE or key change in the referenced table reads all of %s "
                              "for %s.",
                              table, index.foreign_key.c_str()),
                       "Hide it once another index begins with the same columns.");
    if (index.clustered)
        return not_fit(index, "is the one that CLUSTER uses", format("%s is clustered on it.", table),
                       format("ALTER TABLE %s SET WITHOUT CLUSTER;", table));
    if (!index.standbys.empty())
        return not_fit(
            index, "is used on a standby", format("It is used on %s.", index.standbys.c_str()),
            "Its queries there would have to do without. Wait until no query on the standby has used it for "
            "35 days, or SELECT opsrunbook.forget_standby(its name).");
    return std::nullopt;
}

bool profits(const PlanCost &without, const PlanCost &with, double fraction, double min_gain)
{
    if (without.disabled_nodes != with.disabled_nodes)
        return with.disabled_nodes < without.disabled_nodes;
    return without.of(fraction) > with.of(fraction) * min_gain;
}

bool names_module(std::string_view libraries)
{
    constexpr std::string_view separators = ", \t\"'";
    for (size_t at = 0; at < libraries.size();) {
        const size_t end = std::min(libraries.find_first_of(separators, at), libraries.size());
        std::string_view one = libraries.substr(at, end - at);
        if (const size_t slash = one.rfind('/'); slash != std::string_view::npos)
            one.remove_prefix(slash + 1);
        if (one == "opsrunbook" || one == "opsrunbook.so")
            return true;
        at = end + 1;
    }
    return false;
}

} // namespace opsrunbook::advice
