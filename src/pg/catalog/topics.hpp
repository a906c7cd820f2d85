#pragma once
// The topics that server.cpp puts together, each in the file of its name.  For files of pg/catalog only.

#include "observed/server.hpp"
#include "pg/boundary.hpp"
#include "pg/database.hpp"

namespace opsrunbook::pg {

// sessions.cpp
void read_sessions(observed::Server &server);
void read_prepared(observed::Server &server);
// replication.cpp
void read_slots(observed::Server &server);
void read_standbys(observed::Server &server);
void read_subscriptions(observed::Server &server);
// wal.cpp
void read_archiver(observed::Server &server);
void read_checkpoints(observed::Server &server);
void read_wal(observed::Server &server);
void read_slru_caches(observed::Server &server);
// statements.cpp
void read_statements(observed::Server &server);

inline std::optional<double> optional_real(const base::Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.real());
}

inline std::optional<int64_t> optional_integer(const base::Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.integer());
}

inline std::optional<std::string> optional_text(const base::Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.text());
}

// Reads one topic in a subtransaction: what the server refuses is noted, not raised.
template <class Read> void topic(observed::Server &server, const char *name, Read read)
{
    if (const auto error = attempt(read))
        server.unseen[name] = error->message;
}

} // namespace opsrunbook::pg
