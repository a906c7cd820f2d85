#include "advice/index_usage/verdicts.hpp"

#include <algorithm>
#include <unordered_map>

#include "advice/indexes/foreign_keys.hpp"
#include "advice/indexes/identity.hpp"
#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using base::format;
using base::Timestamp;
using observed::Index;
using observed::IndexUsage;
using observed::Relations;

constexpr double day = 86400;

// Watched long enough without a scan.
bool long_quiet(const std::optional<Timestamp> &since, Timestamp now)
{
    return since && (now - *since).seconds() >= enough_days * day;
}

std::string standby_use(const IndexUsage &usage, const Index &index)
{
    const auto past = usage.past.find(index.relation.oid);
    return past == usage.past.end() ? "" : past->second.standby_use;
}

// A partitioned index is one: dropped as a whole, and in use when a part of it is.
struct Whole {
    int64_t scans = 0;
    bool used = false; // a part was scanned within the window
    bool known = true; // of each part, since when it is quiet
    Timestamp quiet_since{INT64_MIN};
    const Index *used_part = nullptr;
};

std::unordered_map<observed::Oid, Whole> wholes(const Relations &relations, const IndexUsage &usage)
{
    std::unordered_map<observed::Oid, Whole> found;
    if (usage.parents.size() == 0)
        return found;
    for (const Index &index : relations.indexes) {
        if (index.relation.kind == 'I' || !usage.parents.contains(index.relation.oid))
            continue;
        Whole &whole = found[root_of(usage.parents, index.relation.oid)];
        const std::optional<Timestamp> since = quiet_since(index, usage);
        whole.scans += index.scans;
        if ((index.scans > 0 && !long_quiet(since, usage.now)) || !standby_use(usage, index).empty()) {
            whole.used = true;
            whole.used_part = &index;
        }
        if (since)
            whole.quiet_since = std::max(whole.quiet_since, *since);
        else
            whole.known = false;
    }
    return found;
}

// Why an index stays that nobody scans; empty: nothing speaks for it but time.
std::string kept_for(const Index &index, const IndexUsage &usage, const observed::OidMap &supporters)
{
    if (usage.in_recovery)
        return "this is a standby: it does not count what the primary uses";
    if (const std::string_view needed = needed_for(index); !needed.empty())
        return std::string(needed);
    if (index.unique)
        return "it enforces uniqueness, used by queries or not";
    if (const std::string standbys = standby_use(usage, index); !standbys.empty())
        return "a standby uses it: " + standbys;
    if (supporters.contains(index.relation.oid))
        return "a foreign key needs it: without it, each DELETE or key UPDATE of a referenced row reads the "
               "whole "
               "table";
    if (!index.valid || !index.ready || !index.live)
        return "it is invalid, so that no query can use it: see opsrunbook.findings('{invalid_indexes}')";
    return "";
}

void judge_time(UsageVerdict &verdict, const IndexUsage &usage)
{
    if (!verdict.quiet_since) {
        verdict.reason = "it is not known how long its use has been counted; call update_index_usage() daily";
        return;
    }
    const double seconds = std::max(0.0, (usage.now - *verdict.quiet_since).seconds());
    verdict.droppable = seconds >= enough_days * day;
    verdict.reason = verdict.droppable
                         ? format("no scan in %s", base::duration_text(seconds).c_str())
                         : format("watched for %s only, less than %.0f days: a monthly job may use it",
                                  base::duration_text(seconds).c_str(), enough_days);
    if (!usage.silent_standbys.empty()) {
        verdict.droppable = false;
        verdict.reason +=
            format("; whether a declared standby uses it is not known, for want of counts of the last "
                   "two days (opsrunbook.import_index_usage()): %s",
                   base::join(usage.silent_standbys, ", ").c_str());
    }
    if (!usage.standbys.empty())
        verdict.reason += format(
            "; its use on standbys is not counted here, look there too or opsrunbook.declare_standby(): %s",
            base::join(usage.standbys, ", ").c_str());
}

} // namespace

observed::Oid root_of(const observed::OidMap &parents, observed::Oid index)
{
    for (auto parent = parents.find(index); parent; parent = parents.find(index))
        index = parent->second;
    return index;
}

bool scanned_lately(const Index &index, Timestamp now)
{
    return index.last_scan.microseconds != 0 && !long_quiet(index.last_scan, now);
}

std::optional<Timestamp> quiet_since(const Index &index, const IndexUsage &usage)
{
    if (index.last_scan.microseconds != 0)
        return index.last_scan;
    if (!usage.counted_since)
        return std::nullopt;
    const auto past = usage.past.find(index.relation.oid);
    if (past == usage.past.end())
        return std::nullopt;
    std::optional<Timestamp> since;
    if (index.scans == 0 && past->second.file_created)
        since = std::max(*usage.counted_since, *past->second.file_created);
    Timestamp from = *usage.counted_since;
    int64_t scans = index.scans;
    for (const observed::UsageRecord &record : past->second.records) {
        if (record.counted_from > from)
            continue;
        if (record.counted_from == from) {
            if (record.scans != scans)
                break;
        }
        else if (scans != 0 || (from - record.observed_until).seconds() > unseen_days * day)
            break;
        from = record.counted_from;
        scans = record.scans;
        since = since ? std::min(*since, record.observed_from) : record.observed_from;
    }
    return since;
}

std::vector<UsageVerdict> unused_indexes(const Relations &relations, const IndexUsage &usage,
                                         const std::vector<const Index *> &among)
{
    const auto whole = wholes(relations, usage);
    const observed::OidMap supporters = foreign_key_supporters(relations);
    std::vector<UsageVerdict> verdicts;
    for (const Index *index : among) {
        const bool partitioned = index->relation.kind == 'I';
        UsageVerdict verdict;
        verdict.index = index;
        const observed::Oid root = root_of(usage.parents, index->relation.oid);
        const auto parts = whole.find(root);
        if (partitioned) {
            if (root != index->relation.oid || parts == whole.end() || parts->second.used)
                continue; // in use, a part of another, or without parts
            verdict.scans = parts->second.scans;
            if (parts->second.known)
                verdict.quiet_since = parts->second.quiet_since;
        }
        else {
            verdict.scans = index->scans;
            verdict.quiet_since = quiet_since(*index, usage);
        }
        if (verdict.scans > 0 && !long_quiet(verdict.quiet_since, usage.now))
            continue;
        verdict.reason = kept_for(*index, usage, supporters);
        if (verdict.reason.empty() && !partitioned && parts != whole.end())
            verdict.reason = parts->second.used
                                 ? format("the same index is used on another partition: %s",
                                          relations.name(parts->second.used_part->relation).c_str())
                                 : "a part of a partitioned index, which is dropped as one: see its own row";
        if (verdict.reason.empty())
            judge_time(verdict, usage);
        verdicts.push_back(std::move(verdict));
    }
    return verdicts;
}

} // namespace opsrunbook::advice
