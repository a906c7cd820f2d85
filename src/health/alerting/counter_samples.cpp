#include "health/alerting/counter_samples.hpp"

#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

using base::Value;

std::optional<observed::CounterSample> read_counter_sample(const observed::Server &server)
{
    if (server.in_recovery)
        return std::nullopt;
    const pg::Result rows = pg::house_query(
        "SELECT s.taken_at, s.counter, s.since, s.value FROM opsrunbook.counter_sample s WHERE s.taken_at ="
        " (SELECT min(o.taken_at) FROM opsrunbook.counter_sample o WHERE o.taken_at BETWEEN"
        " statement_timestamp() - interval '25 hours' AND statement_timestamp() - interval '1 hour')");
    if (rows.empty())
        return std::nullopt;
    observed::CounterSample sample{*rows.at(0, "taken_at").timestamp(), {}};
    for (size_t r = 0; r < rows.size(); ++r)
        sample.counters[rows.at(r, "counter").text()] = {
            rows.at(r, "since").timestamp().value_or(base::Timestamp{}), rows.at(r, "value").integer()};
    return sample;
}

void keep_counter_sample(const observed::CounterSample &sample)
{
    // Neither do samples from before the clock was set back stay.
    pg::query(
        "DELETE FROM opsrunbook.counter_sample WHERE taken_at < $1 - interval '25 hours' OR taken_at > $1",
        {sample.taken});
    Value::Texts names;
    Value::Integers values, since;
    for (const auto &[name, counter] : sample.counters) {
        names.push_back(name);
        values.push_back(counter.value);
        since.push_back(counter.since.microseconds);
    }
    pg::query("INSERT INTO opsrunbook.counter_sample (taken_at, counter, since, value)"
              " SELECT $1, n.counter, CASE WHEN n.since <> 0 THEN timestamptz '2000-01-01 00:00:00+00'"
              " + n.since * interval '1 microsecond' END, n.value"
              " FROM unnest($2::text[], $3::int8[], $4::int8[]) AS n(counter, since, value)"
              " WHERE NOT EXISTS (SELECT FROM opsrunbook.counter_sample s WHERE s.taken_at > $1 - interval "
              "'1 hour')",
              {sample.taken, names, since, values});
}

} // namespace opsrunbook::health
