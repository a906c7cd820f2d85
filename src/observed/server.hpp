#pragma once
// What the server says of itself and of its sessions: one query a topic, filled by pg/catalog/server.cpp.
// Absent (nullopt): could not be seen; the reason stands in Server::unseen.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/value.hpp"

namespace opsrunbook::observed {

struct Database {
    std::string name;
    uint32_t oid = 0;
    bool current = false;
    bool allows_connections = true;
    bool invalid = false; // an interrupted DROP DATABASE left it (datconnlimit -2)
    int64_t connection_limit = -1;
    int64_t xid_age = 0, mxid_age = 0;
    int64_t frozen_transaction_id = 0;            // datfrozenxid
    std::optional<double> not_frozen_for_seconds; // it has stood still for at least that long
    int64_t blocks_read = 0, blocks_hit = 0;
    int64_t blocks_read_before = 0; // those that a sample had counted already
    int64_t commits = 0, rollbacks = 0, deadlocks = 0, conflicts = 0;
    int64_t temp_files = 0, temp_bytes = 0;
    std::optional<int64_t> checksum_failures; // nothing: checksums are off
    int64_t backends = 0;
    std::optional<base::Timestamp> stats_reset;
    std::optional<base::Timestamp> sampled; // the counters above are those since then
    std::optional<std::string> collation_version, actual_collation_version;
};

struct Session {
    int pid = 0;
    std::string user, database, application, state, query, kind; // kind: backend_type
    std::string wait_event_type, wait_event;
    base::Value::Integers blocked_by;
    std::optional<double> query_seconds, transaction_seconds, state_seconds, wait_seconds; // until now
    std::optional<int64_t> xid_age, xmin_age;
    std::string waits_for, wait_mode; // the object of the lock it waits for, and the lock's mode
    int64_t locks_held = 0;           // on relations and other objects, not on its own transaction ids
    bool visible = true;              // false: another role's, and the caller may not read it
    bool ours = false;                // a worker of this extension
};

// Who keeps old row versions alive.
struct HorizonHolder {
    std::string kind; // session, prepared transaction, replication slot, replication slot (catalog), standby
    std::string name;
    int64_t age = 0; // in transactions
    int pid = 0;
    std::string database = {};          // the only one whose rows it keeps; empty: those of all
    std::optional<double> seconds = {}; // of a transaction: since it began
    bool catalogs_only = false;         // keeps rows of the system catalogs and of no other table
};

struct Slot {
    std::string name, kind, plugin, database, wal_status, invalidation_reason;
    bool active = false, temporary = false;
    bool synced = false; // kept by a standby as a copy of its primary's slot, never active there
    std::optional<int64_t> retained_bytes, safe_bytes, xmin_age, catalog_xmin_age;
    std::string position; // up to where it was read, or what it keeps from
    std::optional<double>
        inactive_seconds; // from PostgreSQL 17 on; before, since an observation first saw it
};

struct Standby {
    std::string name, address, state, sync_state;
    int pid = 0;
    std::optional<int64_t> lag_bytes;
    std::optional<double> replay_lag_seconds;
    std::optional<int64_t> xmin_age;
};

// One that was declared (opsrunbook.declare_standby) and has streamed from here.
struct DeclaredStandby {
    std::string name;
    double seconds_ago = 0; // an observation last saw it stream
};

struct Subscription {
    std::string name;
    bool enabled = true, running = true;
    int64_t apply_errors = 0, sync_errors = 0;
    bool disables_on_error = false; // otherwise only a person switches it off
};

struct PreparedTransaction {
    std::string gid, owner, database;
    double seconds = 0;
    int64_t age = 0;
};

struct Archiver {
    bool on = false;
    std::string command_or_library; // empty: archiving is on but goes nowhere
    int64_t archived = 0, failed = 0;
    std::optional<double> since_last_archived, since_last_failed; // seconds
    std::string last_failed_segment;
    std::optional<int64_t> ready_files; // waiting for the archiver
    std::optional<double> oldest_ready_seconds;
};

// What the server itself knows of base backups: with archiving on, the newest one's history file stays in
// pg_wal.
struct BaseBackups {
    std::optional<double> since_last_seconds;
    double cluster_age_seconds = 0; // since initdb, of whichever cluster this one is a copy of
};

struct Checkpoints {
    int64_t timed = 0, requested = 0, buffers_by_backends = 0;
    int64_t fsyncs_by_backends = 0; // from 17 on with those of index builds that a checkpoint came across
    std::optional<double> since_reset_seconds, backends_since_reset_seconds;
    std::optional<double> since_redo_seconds; // age of the last checkpoint
    std::optional<int64_t> wal_since_redo_bytes;
    std::optional<double> since_redo_file_seconds; // age of the last write to the WAL file where redo lies
};

// A small cache of its own beside shared_buffers, as for the status of transactions.
struct SlruCache {
    std::string name; // as PostgreSQL 17 spells it: transaction, subtransaction, multixact_member
    int64_t hits = 0, reads = 0;
};

struct Wal {
    std::optional<int64_t> bytes_since_reset, full_page_images, buffers_full;
    std::optional<double> since_reset_seconds;
    std::optional<int64_t> directory_bytes;
};

// How a standby keeps up with its primary.
struct StandbyReplay {
    bool has_primary = false; // primary_conninfo is set: WAL is expected by streaming
    bool receiving = false;   // a WAL receiver runs
    bool paused = false;
    std::optional<int64_t> unreplayed_bytes; // received, not replayed yet; nothing: never received any
    std::optional<double>
        since_commit_seconds; // age of the last replayed commit, as the primary's clock saw it
};

// One file system that the server writes to.
struct Volume {
    std::string holds; // data directory, pg_wal, tablespace x: all that share it
    std::string path;
    int64_t total_bytes = 0, free_bytes = 0; // as far as the server's user may use it
};

struct Extension {
    std::string name, installed, available; // available: empty when its files are gone
};

// A collation that indexes use and whose library sorts by another version than when it was created.
struct Collation {
    std::string name; // qualified and quoted
    std::string recorded, actual;
};

struct Setting {
    std::string value; // as SHOW prints it, without unit
    std::string unit, source, context;
    bool pending_restart = false;
};

struct Statement {
    int64_t query_id = 0;
    std::string user, query;
    int64_t calls = 0, rows = 0;
    double total_ms = 0, mean_ms = 0, max_ms = 0, min_ms = 0;
    int64_t blocks_read = 0, blocks_hit = 0, temp_written = 0, wal_bytes = 0;
};

struct Statements {
    std::vector<Statement> top; // by total time, the current database's
    double total_ms = 0;        // of all of them
    int64_t distinct = 0, evicted = 0;
    std::optional<double> since_reset_seconds; // the window of all of these counters
};

struct Sequence {
    std::string name;
    std::string table, column; // that take its values, quoted; of several the narrowest; empty: none
    std::string column_type;   // smallint, integer, bigint; empty: none
    int64_t last_value = 0, start = 0, minimum = 0, maximum = 0, increment = 1;
    bool cycles = false;
};

struct VacuumProgress {
    int pid = 0;
    uint32_t relation = 0;
    std::string phase;
    int64_t index_passes = 0; // that are over
    int64_t heap_blocks = 0, heap_scanned = 0;
    int64_t dead_bytes = 0, dead_bytes_most = 0; // memory for the places of dead rows: in use, at most
};

struct Server {
    base::Timestamp now;
    int version = 0; // 150004 for 15.4
    bool in_recovery = false;
    std::optional<base::Timestamp> autovacuum_started; // its launcher: after recovery, anew after a crash
    bool preloaded = false;                            // this module stands in shared_preload_libraries
    bool statements_preloaded = false;
    std::optional<base::Timestamp> started;
    // No counter is older: a crash drops them all.  The window of what was never reset by itself.
    std::optional<base::Timestamp> counting_since;
    std::optional<int64_t> next_transaction_id; // of 64 bits: it never wraps
    std::optional<double> transaction_ids_per_second;
    std::string user;
    std::optional<int64_t> database_bytes;
    int64_t max_connections = 0, reserved_connections = 0, autovacuum_workers_busy = 0;
    std::vector<Database> databases;
    std::optional<int64_t> shared_checksum_failures;       // of shared relations (datid 0)
    std::vector<Session> sessions;                         // all but the caller's own
    std::map<std::string, int64_t> role_connection_limits; // of the roles that have one and are bound by it
    std::vector<HorizonHolder> horizon;                    // the oldest first
    std::vector<Slot> slots;
    std::vector<Standby> standbys;
    std::vector<DeclaredStandby> declared_standbys;
    std::vector<Subscription> subscriptions;
    std::vector<PreparedTransaction> prepared;
    std::vector<VacuumProgress> vacuums;
    std::vector<uint32_t> tables_being_analyzed;
    std::vector<Sequence> sequences;
    std::vector<uint32_t> tables_being_indexed; // an index of theirs is being built right now
    std::optional<Archiver> archiver;
    std::optional<BaseBackups> base_backups; // where WAL is archived
    std::optional<Checkpoints> checkpoints;
    std::vector<SlruCache> slru_caches;
    std::optional<Wal> wal;
    std::optional<Statements> statements;
    std::optional<StandbyReplay> replay; // on a standby
    std::vector<Volume> volumes;
    std::vector<Extension> extensions;
    std::vector<Collation> outdated_collations;
    std::optional<double> notify_queue_pct;
    std::optional<int64_t> multixact_member_bytes;
    std::optional<int64_t> memory_bytes; // of the machine, or what its control group allows
    std::map<std::string, Setting> settings;
    std::map<std::string, std::string> unseen; // topic -> reason, for what could not be measured
    std::vector<std::string> setting_file_errors, hba_file_errors;
    std::vector<std::string> skipped; // objects passed over because they were locked, with the reason

    const Database *current_database() const;
    // The oldest holder that keeps dead rows of this database's tables; nullptr: none.
    const HorizonHolder *holder_of_rows() const;
    // How long the counters of a database have run.  One that was never reset counts since its creation or
    // the last crash: then the age of the oldest counters bounds the time, and rates come out too low, never
    // too high.
    std::optional<double> counted_seconds(const Database &database) const;
    double setting_number(const std::string &name, double otherwise) const; // in the setting's own unit
    bool setting_on(const std::string &name, bool otherwise) const;
};

} // namespace opsrunbook::observed
