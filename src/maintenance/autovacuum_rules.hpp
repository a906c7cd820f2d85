#pragma once
// The server's own rules for when a table is due for VACUUM or ANALYZE (relation_needs_vacanalyze in
// autovacuum.c, 15 to 18), so that our verdicts agree with what autovacuum would do.

#include "observed/relations.hpp"
#include "observed/server.hpp"

namespace opsrunbook::maintenance {

struct AutovacuumSettings {
    bool enabled = true; // autovacuum and track_counts are on
    double vacuum_threshold = 50, vacuum_scale_factor = 0.2;
    double vacuum_max_threshold = -1; // 18: caps the vacuum threshold; -1: no cap
    double insert_threshold = 1000, insert_scale_factor = 0.2;
    double analyze_threshold = 50, analyze_scale_factor = 0.1;
    double freeze_max_age = 200e6, multixact_freeze_max_age = 400e6;
    double naptime_seconds = 60;
};
AutovacuumSettings autovacuum_settings(const observed::Server &server);

struct TableNeeds {
    double vacuum_trigger = 0; // dead rows above this make the table due
    double insert_trigger = 0; // inserted rows since the last VACUUM; negative: inserts do not count
    double analyze_trigger = 0;
    bool autovacuum_enabled = true; // for this table: server's setting and storage parameter
    bool vacuum_dead = false;       // due because of dead rows
    bool vacuum_inserts = false;    // due because of inserted rows
    bool freeze_xids = false;       // due because of transaction-id age
    bool freeze_multixacts = false; // due because of multixact age
    bool vacuum_freeze = false;     // due because of either
    bool analyze = false;
    bool never_analyzed = false; // rows, and no statistics at all
    // How far past its trigger the worst of the counts is, as a share of the count: 0.25 when a quarter of
    // what gathered since the last VACUUM or ANALYZE came after the table was due.
    double vacuum_excess = 0, analyze_excess = 0;

    bool vacuum() const { return vacuum_dead || vacuum_inserts || vacuum_freeze; }
    bool anything() const { return vacuum() || analyze || never_analyzed; }
};
// A table that was never analyzed has more rows than its counters know when they were lost (by pg_upgrade or
// a crash): each of its pages stands for a row at least.
TableNeeds needs_of(const observed::Table &table, const observed::VacuumOptions *options,
                    const AutovacuumSettings &settings);

// With the options looked up; a TOAST table without options of its own takes its owner's.
TableNeeds needs_of(const observed::Table &table, const observed::Relations &relations,
                    const AutovacuumSettings &settings);

} // namespace opsrunbook::maintenance
