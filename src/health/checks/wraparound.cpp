// How far the transaction-id and multixact counters are from where the server stops taking writes, and who
// keeps VACUUM from moving them.
#include "health/checks/checks.hpp"
#include "health/checks/horizon.hpp"

#include <algorithm>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;

// 2^31 ids ahead of the oldest one is where comparison wraps; the server stops 3 million earlier.
constexpr double wrap_distance = 2147483648.0;

const observed::Table *oldest_table(const observed::Relations &relations, int32_t observed::Relation::*age)
{
    const observed::Table *oldest = nullptr;
    for (const observed::Table &table : relations.tables)
        if (!oldest || table.relation.*age > oldest->relation.*age)
            oldest = &table;
    return oldest;
}

std::string freeze_command(const Observations &seen, const observed::Database &database,
                           const observed::Table *table)
{
    if (!database.allows_connections)
        return format("-- ALTER DATABASE %s ALLOW_CONNECTIONS true; connect to it and run: VACUUM (FREEZE, "
                      "SKIP_LOCKED); then ALTER DATABASE %s ALLOW_CONNECTIONS false;",
                      base::quote_identifier(database.name).c_str(),
                      base::quote_identifier(database.name).c_str());
    if (!database.current || !table)
        return format("-- connect to database %s and run: VACUUM (FREEZE, SKIP_LOCKED);",
                      database.name.c_str());
    const observed::Relations &relations = seen.relations;
    const auto owner = relations.toast_owner.find(table->relation.oid);
    const observed::Relation &target =
        owner == relations.toast_owner.end() ? table->relation : relations.tables[owner->second].relation;
    return format("VACUUM (FREEZE) %s;", relations.name(target).c_str());
}

struct Ids {
    const char *what;
    int64_t observed::Database::*age;
    int32_t observed::Relation::*relation_age;
    const char *failsafe_setting;
    bool followed; // samples tell how fast they are used up, and whether freezing moves
};

// Past where autovacuum forces freezing, and it brought nothing for most of a day in which ids were used up.
bool falls_behind(const observed::Server &server, const observed::Database &database, const Ids &ids)
{
    constexpr double most_of_a_day = 20 * 3600;
    return ids.followed && database.not_frozen_for_seconds.value_or(0) >= most_of_a_day &&
           server.transaction_ids_per_second.value_or(0) > 0 &&
           static_cast<double>(database.*ids.age) > server.setting_number("autovacuum_freeze_max_age", 200e6);
}

// Seconds until the server takes no more writes, at the rate of the last day.
std::optional<double> seconds_to_stop(const observed::Server &server, double distance, const Ids &ids)
{
    const double rate = ids.followed ? server.transaction_ids_per_second.value_or(0) : 0;
    return rate > 0 ? std::optional(std::max(0.0, distance) / rate) : std::nullopt;
}

// Above the share of the distance that thresholds name.  Freezing starts by itself at
// autovacuum_freeze_max_age (by default 10 % of the distance), so a healthy database never comes near the
// warning.
void judge_age(const Observations &seen, Judge &judge, const Ids &ids)
{
    if (seen.server.databases.empty())
        return judge.unknown(seen.server.unseen.contains("databases") ? seen.server.unseen.at("databases")
                                                                      : "no database seen");
    int64_t oldest = 0;
    const double failsafe = seen.server.setting_number(ids.failsafe_setting, 1.6e9);
    for (const observed::Database &database : seen.server.databases) {
        const int64_t age = database.*ids.age;
        oldest = std::max(oldest, age);
        const double pct = 100.0 * static_cast<double>(age) / wrap_distance;
        const double distance = wrap_distance - 3e6 - static_cast<double>(age);
        const std::optional<double> left = seconds_to_stop(seen.server, distance, ids);
        std::string message = format("database %s is %s %s old: %.1f %% of the way to a forced stop",
                                     database.name.c_str(), count_text(age).c_str(), ids.what, pct);
        if (left)
            message +=
                format(", which is %s away at the rate of the last day", base::duration_text(*left).c_str());
        Finding *finding = judge.measure(pct, database.name, message);
        if (!finding && falls_behind(seen.server, database, ids))
            finding = &judge.found(Status::warning, database.name,
                                   format("%s; past autovacuum_freeze_max_age, and frozen no further for %s",
                                          message.c_str(),
                                          base::duration_text(*database.not_frozen_for_seconds).c_str()));
        if (!finding)
            continue;
        const observed::Table *table =
            database.current ? oldest_table(seen.relations, ids.relation_age) : nullptr;
        finding->lethal = static_cast<double>(age) >= failsafe;
        finding->evidence.add("age", age)
            .add("distance_to_stop", static_cast<int64_t>(distance))
            .add("seconds_to_stop", left);
        if (table)
            finding->evidence.add("oldest_table", seen.relations.name(table->relation));
        if (!seen.server.horizon.empty() && seen.server.horizon.front().age > age / 2) {
            const observed::HorizonHolder &holder = seen.server.horizon.front();
            finding->cause =
                format("%s %s is %s transactions old -> VACUUM cannot freeze newer rows -> the age grows",
                       holder.kind.c_str(), holder.name.c_str(), count_text(holder.age).c_str());
        }
        finding->fix = freeze_command(seen, database, table);
    }
    judge.fine(format("oldest database: %s %s", count_text(oldest).c_str(), ids.what));
}

void xid_age(const Observations &seen, Judge &judge)
{
    judge_age(seen, judge,
              {"transactions", &observed::Database::xid_age, &observed::Relation::xid_age,
               "vacuum_failsafe_age", true});
}

void mxid_age(const Observations &seen, Judge &judge)
{
    judge_age(seen, judge,
              {"multixacts", &observed::Database::mxid_age, &observed::Relation::mxid_age,
               "vacuum_multixact_failsafe_age", false});
}

void xmin_horizon(const Observations &seen, Judge &judge)
{
    if (const auto unseen = seen.server.unseen.find("sessions"); unseen != seen.server.unseen.end())
        return judge.unknown(unseen->second);
    int64_t oldest = 0;
    for (const observed::HorizonHolder &holder : seen.server.horizon) {
        oldest = std::max(oldest, holder.age);
        Finding *finding =
            judge.measure(static_cast<double>(holder.age), holder.kind + " " + holder.name,
                          format("%s %s keeps row versions of the last %s transactions from being cleaned",
                                 holder.kind.c_str(), holder.name.c_str(), count_text(holder.age).c_str()));
        if (!finding)
            continue;
        finding->cause =
            holder.kind + " " + holder.name + " -> old snapshot -> VACUUM cannot remove dead rows -> bloat";
        finding->evidence.add("kind", holder.kind).add("age", holder.age).add("pid", holder.pid);
        finding->fix = remedy_of(seen.server, holder);
    }
    judge.fine(format("the oldest snapshot is %s transactions old", count_text(oldest).c_str()));
}

constexpr Check checks[] = {
    {
        .id = "xid_age",
        .title = "transaction id wraparound",
        .category = Category::wraparound,
        .points = 100,
        .metric = "xid_age_pct",
        .unit = "%",
        .warning = 50,
        .critical = 75,
        .explanation =
            "The oldest unfrozen transaction id of every database, as a share of the 2^31 ids "
            "after which the "
            "server refuses writes. Autovacuum freezes by itself long before; a database beyond "
            "the warning is "
            "one where freezing does not keep up; so is one beyond autovacuum_freeze_max_age whose age "
            "never fell for most of a day, where alerts are observed.",
        .source = "age(pg_database.datfrozenxid) / 2^31",
        .evaluate = xid_age,
    },
    {
        .id = "mxid_age",
        .title = "multixact id wraparound",
        .category = Category::wraparound,
        .points = 100,
        .metric = "mxid_age_pct",
        .unit = "%",
        .warning = 50,
        .critical = 75,
        .explanation = "The oldest multixact id (shared row locks) of every database, as a share of the 2^31 "
                       "after which the "
                       "server refuses new ones.",
        .source = "mxid_age(pg_database.datminmxid) / 2^31",
        .evaluate = mxid_age,
    },
    {
        .id = "xmin_horizon",
        .title = "old snapshots that hold back VACUUM",
        .category = Category::wraparound,
        .points = 40,
        .metric = "xmin_age",
        .unit = "transactions",
        .warning = 10e6,
        .critical = 100e6,
        .explanation = "The oldest snapshot or transaction id held by a session, a prepared transaction, a "
                       "replication slot or a "
                       "standby. VACUUM keeps every row version that it could still see.",
        .source = "age() of pg_stat_activity.backend_xid and backend_xmin, pg_prepared_xacts.transaction, "
                  "pg_replication_slots.xmin and catalog_xmin, pg_stat_replication.backend_xmin",
        .evaluate = xmin_horizon,
    },
};

} // namespace

std::span<const Check> wraparound_checks()
{
    return checks;
}

} // namespace opsrunbook::health
