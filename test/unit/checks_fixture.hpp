#pragma once
// Built observations and one check run on them.

#include <string>
#include <vector>

#include "health/check.hpp"

namespace opsrunbook::test {

using health::Finding;
using health::Observations;
using health::Outcome;
using health::Status;

inline Outcome run(const std::string &id, const Observations &seen, const health::Thresholds &thresholds = {})
{
    return health::evaluate(seen, thresholds, {id}).front();
}

inline Status status(const std::string &id, const Observations &seen)
{
    return run(id, seen).status;
}

// The worst finding; the test fails to dereference when there is none.
inline Finding worst(const std::string &id, const Observations &seen)
{
    return run(id, seen).findings.at(0);
}

inline void set(Observations &seen, const std::string &name, const std::string &value,
                const std::string &source = "configuration file", const std::string &context = "sighup")
{
    seen.server.settings[name] = {value, "", source, context, false};
}

// A server of one database with initdb's settings and nothing wrong.
inline Observations healthy()
{
    Observations seen;
    seen.server.version = 150020;
    seen.server.user = "ops";
    seen.server.max_connections = 100;
    observed::Database database;
    database.name = "app";
    database.current = true;
    seen.server.databases.push_back(database);
    seen.server.shared_checksum_failures = 0;
    seen.server.database_bytes = 8 << 20;
    seen.server.memory_bytes = int64_t{16} << 30;
    seen.server.checkpoints = observed::Checkpoints{};
    seen.server.wal = observed::Wal{};
    seen.server.wal->buffers_full = 0;
    seen.server.wal->directory_bytes = 16 << 20;
    seen.server.checkpoints->since_redo_seconds = 100;
    seen.server.checkpoints->wal_since_redo_bytes = 0;
    seen.server.archiver = observed::Archiver{};
    seen.server.notify_queue_pct = 0;
    seen.server.multixact_member_bytes = 262144;
    for (const auto &[name, value] : std::vector<std::pair<std::string, std::string>>{
             {"max_wal_size", "1024"},
             {"min_wal_size", "80"},
             {"wal_keep_size", "0"},
             {"checkpoint_timeout", "300"},
             {"checkpoint_completion_target", "0.9"},
             {"max_slot_wal_keep_size", "-1"},
             {"synchronous_standby_names", ""},
             {"shared_buffers", "16384"},
             {"work_mem", "4096"},
             {"wal_buffers", "512"},
             {"fsync", "on"},
             {"full_page_writes", "on"},
             {"zero_damaged_pages", "off"},
             {"data_checksums", "on"},
             {"archive_mode", "off"},
             {"enable_seqscan", "on"},
             {"enable_partitionwise_join", "off"},
         })
        set(seen, name, value, "default");
    return seen;
}

} // namespace opsrunbook::test
