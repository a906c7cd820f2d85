// Where the bytes of this database are.
#include "health/storage/storage.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "base/error.hpp"
#include "base/text.hpp"
#include "health/diagnosis.hpp"
#include "health/storage/growth.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Value;

struct Part {
    const char *type;
    std::string name;
    int64_t bytes;
};

std::map<uint32_t, std::string> tablespace_names()
{
    const pg::Result rows = pg::query("SELECT t.oid, t.spcname::text FROM pg_tablespace t UNION ALL"
                                      " SELECT 0, t.spcname::text FROM pg_database d JOIN pg_tablespace t"
                                      " ON t.oid = d.dattablespace WHERE d.datname = current_database()");
    std::map<uint32_t, std::string> names;
    for (size_t r = 0; r < rows.size(); ++r)
        names[static_cast<uint32_t>(rows.at(r, size_t{0}).integer())] = rows.at(r, 1).text();
    return names;
}

const char *type_of(const observed::Relations &relations, const observed::Relation &relation)
{
    if (!relations.user_owned(relation))
        return relation.kind == 'i' ? "system index" : "system table";
    switch (relation.kind) {
    case 'i':
        return "index";
    case 't':
        return "toast";
    case 'm':
        return "materialized view";
    default:
        return "table";
    }
}

// The database, its tablespaces, then the largest relations.
std::vector<Part> largest_parts(const observed::Relations &relations, size_t most)
{
    constexpr observed::Oid pg_global = 1664; // shared by all databases
    std::vector<std::pair<const observed::Relation *, int64_t>> sizes;
    for (const observed::Table &table : relations.tables)
        if (table.relation.tablespace != pg_global)
            sizes.emplace_back(&table.relation, pg::current_bytes(table));
    for (const observed::Index &index : relations.indexes)
        if (index.relation.kind == 'i' && index.relation.tablespace != pg_global)
            sizes.emplace_back(&index.relation, pg::current_bytes(relations, index));
    int64_t all = 0;
    std::map<uint32_t, int64_t> by_tablespace;
    for (const auto &[relation, bytes] : sizes) {
        all += bytes;
        by_tablespace[relation->tablespace] += bytes;
    }
    std::stable_sort(sizes.begin(), sizes.end(),
                     [](const auto &a, const auto &b) { return a.second > b.second; });
    std::vector<Part> parts = {
        {"database", pg::query("SELECT current_database()::text").at(0, size_t{0}).text(), all}};
    const std::map<uint32_t, std::string> names = tablespace_names();
    for (const auto &[oid, bytes] : by_tablespace) {
        const auto found = names.find(oid);
        parts.push_back({"tablespace", found == names.end() ? std::to_string(oid) : found->second, bytes});
    }
    for (size_t i = 0; i < std::min(most, sizes.size()); ++i)
        parts.push_back(
            {type_of(relations, *sizes[i].first), relations.name(*sizes[i].first), sizes[i].second});
    return parts;
}

using Key = std::pair<std::string, std::string>; // type, name

std::map<Key, std::vector<RecordedSize>> recorded_sizes()
{
    const pg::Result rows = pg::as_house_owner([] {
        return pg::query("SELECT object_type, object_name, recorded_at, bytes FROM opsrunbook.storage_history"
                         " WHERE recorded_at > now() - interval '31 days'");
    });
    std::map<Key, std::vector<RecordedSize>> sizes;
    for (size_t r = 0; r < rows.size(); ++r)
        sizes[{rows.at(r, "object_type").text(), rows.at(r, "object_name").text()}].push_back(
            {*rows.at(r, "recorded_at").timestamp(), rows.at(r, "bytes").integer()});
    return sizes;
}

struct Verdict {
    Status status = Status::ok;
    std::string message;
};

void worsen(Verdict &verdict, const Finding &finding)
{
    const auto rank = [](Status status) {
        return status == Status::critical  ? 3
               : status == Status::warning ? 2
               : status == Status::unknown ? 1
                                           : 0;
    };
    if (rank(finding.status) > rank(verdict.status))
        verdict = {finding.status, finding.message};
}

// What the checks found, by object; a check without an object speaks of the database.
std::unordered_map<std::string, Verdict> verdicts_of(const std::vector<Outcome> &outcomes)
{
    std::unordered_map<std::string, Verdict> verdicts;
    for (const Outcome &outcome : outcomes)
        for (const Finding &finding : outcome.findings)
            worsen(verdicts[finding.object], finding);
    return verdicts;
}

Verdict verdict_on(const Part &part, const std::unordered_map<std::string, Verdict> &verdicts,
                   const Diagnosis &diagnosis)
{
    const std::string type = part.type;
    Verdict verdict;
    if (type == "tablespace") {
        const bool standard = part.name == "pg_default";
        const std::string holds = standard ? "data directory" : "tablespace " + part.name;
        for (const Outcome &outcome : diagnosis.outcomes)
            for (const Finding &finding : outcome.findings)
                if (outcome.check->id == "disk_space" &&
                    (finding.object.find(holds) != std::string::npos || finding.status == Status::unknown))
                    worsen(verdict, finding);
        return verdict;
    }
    const auto found = verdicts.find(type == "database" ? "" : part.name);
    return found == verdicts.end() ? verdict : found->second;
}

} // namespace

void get_storage_usage_stats(const pg::Arguments &arguments, pg::Rows &rows)
{
    const int64_t most = arguments.is_null(0) ? 200 : arguments.integer(0);
    if (most < 0)
        throw base::Error(base::ErrorKind::invalid_input, "max_objects must not be negative",
                          base::format("max_objects is %lld.", static_cast<long long>(most)),
                          "Leave it out for the 200 largest objects.");
    const Diagnosis diagnosis = diagnose({"database_size", "disk_space", "bloat", "index_bloat",
                                          "unused_indexes", "duplicate_indexes", "invalid_indexes"});
    const std::vector<Part> parts = largest_parts(diagnosis.seen.relations, static_cast<size_t>(most));
    const std::unordered_map<std::string, Verdict> verdicts = verdicts_of(diagnosis.outcomes);
    const std::map<Key, std::vector<RecordedSize>> history = recorded_sizes();
    const int64_t all = parts.front().bytes;
    for (const Part &part : parts) {
        const double share =
            all == 0 ? 0 : 100.0 * static_cast<double>(part.bytes) / static_cast<double>(all);
        const auto records = history.find({part.type, part.name});
        const Growth growth =
            growth_of(records == history.end() ? std::vector<RecordedSize>() : records->second, part.bytes,
                      diagnosis.seen.server.now);
        const Verdict verdict = verdict_on(part, verdicts, diagnosis);
        rows.add({part.type, part.name, part.bytes, base::size_text(part.bytes),
                  std::round(share * 100) / 100,
                  growth.bytes_per_day ? Value(std::round(*growth.bytes_per_day)) : Value(),
                  std::string(status_text(verdict.status)),
                  verdict.message.empty() ? growth.note : verdict.message + "; " + growth.note});
    }
}

Value record_storage_sizes(const pg::Arguments &)
{
    constexpr size_t most = 1000;
    base::Value::Texts types, names;
    base::Value::Integers bytes;
    for (const Part &part : largest_parts(pg::read_relations(), most)) {
        types.emplace_back(part.type);
        names.push_back(part.name);
        bytes.push_back(part.bytes);
    }
    return pg::as_house_owner([&]() -> Value {
        // Temporary tables of several sessions may bear one name.
        const pg::Result recorded = pg::query(
            "INSERT INTO opsrunbook.storage_history AS h (object_type, object_name, day, recorded_at, bytes)"
            " SELECT a.object_type, a.object_name, (now() AT TIME ZONE 'UTC')::date, now(), sum(a.bytes)"
            " FROM unnest($1, $2, $3) a(object_type, object_name, bytes) GROUP BY 1, 2"
            " ON CONFLICT (object_type, object_name, day) DO UPDATE"
            " SET recorded_at = EXCLUDED.recorded_at, bytes = EXCLUDED.bytes",
            {types, names, bytes});
        pg::query("DELETE FROM opsrunbook.storage_history WHERE recorded_at < now() - interval '90 days'");
        return static_cast<int64_t>(recorded.processed);
    });
}

} // namespace opsrunbook::health
