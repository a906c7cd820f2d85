#include "maintenance/autovacuum_rules.hpp"

#include <algorithm>

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

// 0 when the count isn't past its trigger.
double excess(double count, double trigger)
{
    return count > trigger ? 1 - std::max(trigger, 0.0) / count : 0;
}

} // namespace

AutovacuumSettings autovacuum_settings(const observed::Server &server)
{
    AutovacuumSettings out;
    const auto number = [&server](const char *name, double otherwise) {
        return server.setting_number(name, otherwise);
    };
    out.enabled = server.setting_on("autovacuum", true) && server.setting_on("track_counts", true);
    out.vacuum_threshold = number("autovacuum_vacuum_threshold", out.vacuum_threshold);
    out.vacuum_scale_factor = number("autovacuum_vacuum_scale_factor", out.vacuum_scale_factor);
    out.vacuum_max_threshold = number("autovacuum_vacuum_max_threshold", out.vacuum_max_threshold);
    out.insert_threshold = number("autovacuum_vacuum_insert_threshold", out.insert_threshold);
    out.insert_scale_factor = number("autovacuum_vacuum_insert_scale_factor", out.insert_scale_factor);
    out.analyze_threshold = number("autovacuum_analyze_threshold", out.analyze_threshold);
    out.analyze_scale_factor = number("autovacuum_analyze_scale_factor", out.analyze_scale_factor);
    out.freeze_max_age = number("autovacuum_freeze_max_age", out.freeze_max_age);
    out.multixact_freeze_max_age =
        number("autovacuum_multixact_freeze_max_age", out.multixact_freeze_max_age);
    out.naptime_seconds = number("autovacuum_naptime", out.naptime_seconds);
    return out;
}

TableNeeds needs_of(const observed::Table &table, const observed::VacuumOptions *options,
                    const AutovacuumSettings &settings)
{
    static constexpr observed::VacuumOptions defaults{};
    const observed::VacuumOptions &own = options ? *options : defaults;
    const observed::Relation &relation = table.relation;
    const observed::TableCounters &counters = table.counters;
    const double rows = std::max(0.0, static_cast<double>(relation.rows));

    TableNeeds needs;
    needs.autovacuum_enabled = settings.enabled && own.enabled;

    needs.vacuum_trigger = own.vacuum_threshold.value_or(settings.vacuum_threshold) +
                           own.vacuum_scale_factor.value_or(settings.vacuum_scale_factor) * rows;
    const double cap = own.vacuum_max_threshold.value_or(settings.vacuum_max_threshold);
    if (cap >= 0)
        needs.vacuum_trigger = std::min(needs.vacuum_trigger, cap);

    // From 18 on inserts are held against the part of the table that is not frozen yet; older servers count
    // no frozen pages.  pg_class may be out of step with itself.
    double insert_rows = rows;
    if (relation.pages > 0 && relation.all_frozen_pages > 0)
        insert_rows *=
            1.0 - static_cast<double>(std::min(relation.all_frozen_pages, relation.pages)) / relation.pages;
    const double insert_base = own.insert_threshold.value_or(settings.insert_threshold);
    needs.insert_trigger =
        insert_base < 0
            ? -1
            : insert_base + own.insert_scale_factor.value_or(settings.insert_scale_factor) * insert_rows;
    needs.analyze_trigger = own.analyze_threshold.value_or(settings.analyze_threshold) +
                            own.analyze_scale_factor.value_or(settings.analyze_scale_factor) * rows;

    const double freeze_age =
        std::min<double>(own.freeze_max_age.value_or(settings.freeze_max_age), settings.freeze_max_age);
    const double multi_age =
        std::min<double>(own.multixact_freeze_max_age.value_or(settings.multixact_freeze_max_age),
                         settings.multixact_freeze_max_age);
    const auto dead = static_cast<double>(counters.dead_rows);
    const auto inserted = static_cast<double>(counters.inserted_since_vacuum);
    needs.freeze_xids = relation.xid_age > freeze_age;
    needs.freeze_multixacts = relation.mxid_age > multi_age;
    needs.vacuum_freeze = needs.freeze_xids || needs.freeze_multixacts;
    needs.vacuum_dead = dead > needs.vacuum_trigger;
    needs.vacuum_inserts = needs.insert_trigger >= 0 && inserted > needs.insert_trigger;
    needs.vacuum_excess =
        std::max({excess(dead, needs.vacuum_trigger),
                  needs.vacuum_inserts ? excess(inserted, needs.insert_trigger) : 0,
                  excess(relation.xid_age, freeze_age), excess(relation.mxid_age, multi_age)});
    if (relation.kind != 't') { // TOAST tables have no statistics of their own
        const auto modified = static_cast<double>(counters.modified_since_analyze);
        needs.analyze = modified > needs.analyze_trigger;
        needs.analyze_excess = excess(modified, needs.analyze_trigger);
        const bool analyzed =
            counters.last_analyze.microseconds != 0 || counters.last_autoanalyze.microseconds != 0;
        const double least_rows = std::max<double>(static_cast<double>(counters.live_rows), relation.pages);
        needs.never_analyzed = !analyzed && relation.rows < 0 && least_rows > needs.analyze_trigger;
        if (needs.never_analyzed)
            needs.analyze_excess = std::max(needs.analyze_excess, excess(least_rows, needs.analyze_trigger));
    }
    return needs;
}

TableNeeds needs_of(const observed::Table &table, const observed::Relations &relations,
                    const AutovacuumSettings &settings)
{
    int32_t options = table.relation.options;
    if (options < 0 && table.relation.kind == 't')
        if (const auto owner = relations.toast_owner.find(table.relation.oid);
            owner != relations.toast_owner.end())
            options = relations.tables[owner->second].relation.options;
    return needs_of(table, options < 0 ? nullptr : &relations.options[static_cast<size_t>(options)],
                    settings);
}

} // namespace opsrunbook::maintenance
