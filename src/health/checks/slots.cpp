// Replication slots: what they keep, and whether anybody reads them.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::quote_literal;
using base::size_text;

constexpr double gigabyte = 1024.0 * 1024 * 1024;
constexpr double megabyte = 1024.0 * 1024;

std::string drop_slot(const observed::Slot &slot)
{
    return format("SELECT pg_drop_replication_slot(%s);", quote_literal(slot.name).c_str());
}

void describe_slot(Finding &finding, const observed::Slot &slot)
{
    finding.evidence.add("kind", slot.kind)
        .add("active", slot.active)
        .add("wal_status", slot.wal_status)
        .add("retained_bytes", slot.retained_bytes)
        .add("remaining_bytes", slot.safe_bytes);
    if (!slot.plugin.empty())
        finding.evidence.add("plugin", slot.plugin).add("database", slot.database);
    finding.fix =
        slot.active ? "-- find out why its reader lags: SELECT * FROM pg_stat_replication;" : drop_slot(slot);
    if (!slot.active && slot.kind == "physical") // a logical slot's position cannot be brought back
        finding.undo =
            format("SELECT pg_create_physical_replication_slot(%s, true);", quote_literal(slot.name).c_str());
}

// What the server itself says of a slot outranks the amounts.
bool judge_wal_status(const observed::Slot &slot, const std::string &object, Judge &judge)
{
    if (slot.wal_status == "lost") {
        const std::string why = slot.invalidation_reason.empty() || slot.invalidation_reason == "wal_removed"
                                    ? "the WAL it needs is gone"
                                    : "invalidated: " + slot.invalidation_reason;
        Finding &finding = judge.found(
            Status::critical, object,
            format("replication slot %s is lost (%s): its reader cannot go on and must be built anew",
                   slot.name.c_str(), why.c_str()));
        describe_slot(finding, slot);
        finding.fix = drop_slot(slot);
        finding.undo.clear();
        return true;
    }
    if (slot.wal_status == "unreserved") {
        // safe_wal_size is what may still be written before the slot is lost, not what it retains
        describe_slot(
            judge.found(Status::warning, object,
                        format("replication slot %s is about to be lost: the WAL it needs goes with the next "
                               "checkpoint (%s of WAL remaining)",
                               slot.name.c_str(),
                               size_text(std::max<int64_t>(0, slot.safe_bytes.value_or(0))).c_str())),
            slot);
        judge.findings.back().fix = slot.active
                                        ? "-- let its reader catch up now, or raise max_slot_wal_keep_size"
                                        : "-- start its reader now, or give the slot up: " + drop_slot(slot);
        return true;
    }
    return false;
}

void replication_slots(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "replication slots"))
        return;
    const observed::Server &server = seen.server;
    const bool unlimited = server.setting_number("max_slot_wal_keep_size", -1) < 0;
    const double max_wal_bytes = server.setting_number("max_wal_size", 1024) * megabyte;
    int64_t most = 0;
    for (const observed::Slot &slot : server.slots) {
        const std::string object = "slot " + slot.name;
        const int64_t retained = slot.retained_bytes.value_or(0);
        most = std::max(most, retained);
        if (judge_wal_status(slot, object, judge))
            continue;
        const double retained_gb = static_cast<double>(retained) / gigabyte;
        if (Finding *finding = judge.measure(
                retained_gb, object,
                format("%s replication slot %s keeps %s of WAL%s", slot.active ? "active" : "inactive",
                       slot.name.c_str(), size_text(retained).c_str(),
                       unlimited ? ", and max_slot_wal_keep_size sets no limit" : ""))) {
            finding->cause = format("slot %s -> WAL since its position is kept -> pg_wal grows%s",
                                    slot.name.c_str(), unlimited ? " until the disk is full" : "");
            describe_slot(*finding, slot);
        }
        else if (unlimited && !slot.active && !slot.synced && static_cast<double>(retained) > max_wal_bytes) {
            Finding &grows = judge.found(
                Status::warning, object,
                format("nobody reads replication slot %s and it already keeps %s of WAL, more than "
                       "max_wal_size; max_slot_wal_keep_size sets no limit",
                       slot.name.c_str(), size_text(retained).c_str()));
            grows.value = retained_gb;
            describe_slot(grows, slot);
        }
    }
    judge.fine(
        server.slots.empty()
            ? "no replication slots"
            : format("%s, the most WAL kept by one is %s%s",
                     base::plural(static_cast<int64_t>(server.slots.size()), "replication slot").c_str(),
                     size_text(most).c_str(), unlimited ? " (max_slot_wal_keep_size sets no limit)" : ""));
}

void inactive_slots(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "replication slots"))
        return;
    bool inactive = false;
    for (const observed::Slot &slot : seen.server.slots) {
        if (slot.active || slot.synced ||
            slot.wal_status == "lost") // a lost slot is replication_slots' business
            continue;
        inactive = true;
        if (!slot.inactive_seconds) {
            judge.found(Status::unknown, "slot " + slot.name,
                        format("nobody reads replication slot %s; since when is known from PostgreSQL 17 on, "
                               "and before %s",
                               slot.name.c_str(),
                               seen.server.in_recovery
                                   ? "not on a standby"
                                   : "from the first observation by opsrunbook.observe_alerts()"));
            continue;
        }
        if (Finding *finding =
                judge.measure(*slot.inactive_seconds / 60, "slot " + slot.name,
                              format("nobody has read replication slot %s for %s", slot.name.c_str(),
                                     base::duration_text(*slot.inactive_seconds).c_str())))
            describe_slot(*finding, slot);
    }
    judge.fine(inactive ? "slots without a reader lost it just now"
                        : "every replication slot has its reader");
}

constexpr Check checks[] = {
    {
        .id = "replication_slots",
        .title = "WAL kept by replication slots",
        .category = Category::replication,
        .points = 60,
        .metric = "slot_retained_gb",
        .unit = "GB",
        .warning = 5,
        .critical = 20,
        .explanation =
            "What every replication slot keeps of WAL, and what the server says of it: an unreserved slot is "
            "about to be lost, a lost one is useless. A slot that nobody reads, with "
            "max_slot_wal_keep_size = -1, "
            "fills the disk; it is reported as soon as it keeps more than max_wal_size.",
        .source =
            "end of WAL - pg_replication_slots.restart_lsn (the end: pg_current_wal_lsn(), on a standby "
            "what was received or replayed); wal_status",
        .evaluate = replication_slots,
    },
    {
        .id = "inactive_slots",
        .title = "replication slots that nobody reads",
        .category = Category::replication,
        .points = 20,
        .metric = "slot_inactive_minutes",
        .unit = "min",
        .warning = 30,
        .explanation = "Slots without a reader hold back WAL and row versions. Before PostgreSQL 17 they are "
                       "without one since an observation of the alerts (one a minute) first saw them so and "
                       "their position stood still; slots that a standby keeps in step with its primary do "
                       "not count.",
        .source = "pg_replication_slots.active and inactive_since; before 17 opsrunbook.inactive_slot",
        .evaluate = inactive_slots,
    },
};

} // namespace

std::span<const Check> slot_checks()
{
    return checks;
}

} // namespace opsrunbook::health
