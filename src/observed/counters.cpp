#include "observed/counters.hpp"

#include <cmath>
#include <vector>

#include "base/no_server_headers.hpp"

namespace opsrunbook::observed {

namespace {

struct Named {
    std::string name;
    int64_t *value;
};

// Counters that are reset together.
struct Group {
    base::Timestamp since;
    std::vector<Named> counters;
};

base::Timestamp reset_moment(const Server &server, double since_reset_seconds)
{
    return server.now + base::seconds(-since_reset_seconds);
}

Database *current(Server &server)
{
    for (Database &database : server.databases)
        if (database.current)
            return &database;
    return nullptr;
}

template <class Visit> void each_group(Server &server, Visit visit)
{
    if (Database *database = current(server))
        if (const auto counted = server.counted_seconds(*database))
            visit(Group{reset_moment(server, *counted),
                        {{"database.blocks_read", &database->blocks_read},
                         {"database.blocks_hit", &database->blocks_hit},
                         {"database.commits", &database->commits},
                         {"database.rollbacks", &database->rollbacks},
                         {"database.deadlocks", &database->deadlocks},
                         {"database.conflicts", &database->conflicts},
                         {"database.temp_files", &database->temp_files},
                         {"database.temp_bytes", &database->temp_bytes}}},
                  [database, ever = database->blocks_read](base::Timestamp start, double) {
                      database->sampled = start;
                      database->blocks_read_before = ever - database->blocks_read;
                  });
    if (server.checkpoints && server.checkpoints->since_reset_seconds) {
        Checkpoints &counted = *server.checkpoints;
        visit(Group{reset_moment(server, *counted.since_reset_seconds),
                    {{"checkpoints.timed", &counted.timed}, {"checkpoints.requested", &counted.requested}}},
              [&counted](base::Timestamp, double seconds) { counted.since_reset_seconds = seconds; });
    }
    if (server.checkpoints && server.checkpoints->backends_since_reset_seconds) {
        Checkpoints &counted = *server.checkpoints;
        visit(
            Group{reset_moment(server, *counted.backends_since_reset_seconds),
                  {{"backends.buffers", &counted.buffers_by_backends},
                   {"backends.fsyncs", &counted.fsyncs_by_backends}}},
            [&counted](base::Timestamp, double seconds) { counted.backends_since_reset_seconds = seconds; });
    }
    if (server.wal && server.wal->since_reset_seconds && server.wal->bytes_since_reset) {
        Wal &wal = *server.wal;
        Group group{reset_moment(server, *wal.since_reset_seconds), {{"wal.bytes", &*wal.bytes_since_reset}}};
        if (wal.full_page_images)
            group.counters.push_back({"wal.full_page_images", &*wal.full_page_images});
        if (wal.buffers_full)
            group.counters.push_back({"wal.buffers_full", &*wal.buffers_full});
        visit(group, [&wal](base::Timestamp, double seconds) { wal.since_reset_seconds = seconds; });
    }
}

std::string frozen_name(const Database &database)
{
    return "frozen." + std::to_string(database.oid);
}

// Moments of reset are known as an age, from another look at the clock.
bool same_moment(base::Timestamp a, base::Timestamp b)
{
    return std::abs((a - b).seconds()) < 60;
}

bool continues(const Group &group, const CounterSample &sample)
{
    for (const Named &counter : group.counters) {
        const auto then = sample.counters.find(counter.name);
        if (then == sample.counters.end() || !same_moment(then->second.since, group.since) ||
            then->second.value > *counter.value)
            return false;
    }
    return true;
}

void follow_transaction_ids(Server &server, const CounterSample &sample, double seconds)
{
    const auto next = sample.counters.find("next_transaction_id");
    if (next == sample.counters.end() || !server.next_transaction_id ||
        next->second.value > *server.next_transaction_id)
        return;
    server.transaction_ids_per_second =
        static_cast<double>(*server.next_transaction_id - next->second.value) / seconds;
    for (Database &database : server.databases)
        if (const auto frozen = sample.counters.find(frozen_name(database));
            frozen != sample.counters.end() && frozen->second.value == database.frozen_transaction_id)
            database.not_frozen_for_seconds = seconds;
}

} // namespace

CounterSample counters_of(Server &server)
{
    CounterSample sample{server.now, {}};
    each_group(server, [&sample](const Group &group, const auto &) {
        for (const Named &counter : group.counters)
            sample.counters[counter.name] = {group.since, *counter.value};
    });
    if (server.next_transaction_id)
        sample.counters["next_transaction_id"] = {{}, *server.next_transaction_id};
    for (const Database &database : server.databases)
        sample.counters[frozen_name(database)] = {{}, database.frozen_transaction_id};
    return sample;
}

void count_since(Server &server, const CounterSample &sample)
{
    const double seconds = (server.now - sample.taken).seconds();
    if (seconds <= 0)
        return;
    each_group(server, [&](const Group &group, const auto &start_at) {
        if (!continues(group, sample))
            return;
        for (const Named &counter : group.counters)
            *counter.value -= sample.counters.at(counter.name).value;
        start_at(sample.taken, seconds);
    });
    follow_transaction_ids(server, sample, seconds);
}

} // namespace opsrunbook::observed
