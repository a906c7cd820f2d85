// Standbys and subscriptions.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/checks/setting_change.hpp"
#include "health/checks/synchronous_names.hpp"
#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;
using base::size_text;

constexpr double megabyte = 1024.0 * 1024;

std::string standby_label(const observed::Standby &standby)
{
    return standby.address.empty() ? standby.name : standby.name + " (" + standby.address + ")";
}

void describe_standby(Finding &finding, const observed::Standby &standby)
{
    finding.evidence.add("state", standby.state)
        .add("sync_state", standby.sync_state)
        .add("lag_bytes", standby.lag_bytes)
        .add("replay_lag_seconds", standby.replay_lag_seconds)
        .add("pid", standby.pid);
    finding.fix =
        format("-- on %s: SELECT * FROM opsrunbook.findings(ARRAY['standby_replay']);", standby.name.c_str());
}

// A standby that the caller may not look at has no positions; a base backup has none either, which is fine.
bool hidden(const observed::Standby &standby)
{
    return standby.state.empty();
}

constexpr const char *hidden_standbys =
    "the state of the standbys is hidden: it takes the privileges of pg_read_all_stats";

template <class Measure> void each_standby(const Observations &seen, Judge &judge, Measure measure)
{
    if (unseen(seen, judge, "standbys"))
        return;
    int64_t looked_at = 0;
    for (const observed::Standby &standby : seen.server.standbys) {
        if (hidden(standby)) {
            judge.unknown(hidden_standbys);
            return;
        }
        looked_at += standby.state != "backup";
        measure(standby);
    }
    judge.fine(looked_at == 0 ? "no standbys connected"
                              : format("%s, all close behind", base::plural(looked_at, "standby").c_str()));
}

void replication_lag(const Observations &seen, Judge &judge)
{
    each_standby(seen, judge, [&](const observed::Standby &standby) {
        if (!standby.lag_bytes)
            return;
        if (Finding *finding =
                judge.measure(static_cast<double>(*standby.lag_bytes) / megabyte, standby.name,
                              format("standby %s is %s of WAL behind%s", standby_label(standby).c_str(),
                                     size_text(*standby.lag_bytes).c_str(),
                                     standby.state == "catchup" ? " and is catching up" : "")))
            describe_standby(*finding, standby);
    });
}

void replication_delay(const Observations &seen, Judge &judge)
{
    each_standby(seen, judge, [&](const observed::Standby &standby) {
        // the time stands still once a standby has replayed everything
        if (!standby.replay_lag_seconds || standby.lag_bytes.value_or(1) == 0)
            return;
        if (Finding *finding = judge.measure(
                *standby.replay_lag_seconds, standby.name,
                format("standby %s replays changes %s after they are written", standby_label(standby).c_str(),
                       base::duration_text(*standby.replay_lag_seconds).c_str())))
            describe_standby(*finding, standby);
    });
}

void missing_standby(const Observations &seen, Judge &judge)
{
    const observed::Server &server = seen.server;
    if (server.declared_standbys.empty() || server.in_recovery)
        return judge.not_applicable(server.in_recovery ? "a standby itself"
                                                       : "no declared standby has streamed from here");
    if (unseen(seen, judge, "standbys"))
        return;
    if (std::any_of(server.standbys.begin(), server.standbys.end(), hidden))
        return judge.unknown(hidden_standbys);
    constexpr double time_to_connect = 60;
    if (server.started && (server.now - *server.started).seconds() < time_to_connect)
        return judge.not_applicable("the server has just started: its standbys may still be connecting");
    for (const observed::DeclaredStandby &declared : server.declared_standbys) {
        if (std::any_of(server.standbys.begin(), server.standbys.end(), [&declared](const auto &standby) {
                return standby.name == declared.name && standby.state != "backup";
            }))
            continue;
        Finding &finding =
            judge.found(Status::warning, declared.name,
                        format("declared standby %s is not connected; it last streamed %s ago",
                               declared.name.c_str(), base::duration_text(declared.seconds_ago).c_str()));
        finding.evidence.add("seconds_since_streamed", declared.seconds_ago);
        finding.cause = "it is down or cannot connect -> it falls behind, and nobody could fail over to it";
        finding.fix = format("-- start it, and look into its log; if it is gone for good: SELECT "
                             "opsrunbook.forget_standby(%s);",
                             base::quote_literal(declared.name).c_str());
    }
    judge.fine(format(
        "%s connected",
        base::plural(static_cast<int64_t>(server.declared_standbys.size()), "declared standby").c_str()));
}

void synchronous_standbys(const Observations &seen, Judge &judge)
{
    const observed::Server &server = seen.server;
    const auto setting = server.settings.find("synchronous_standby_names");
    if (server.in_recovery)
        return judge.fine("a standby waits for nobody");
    if (setting == server.settings.end())
        return judge.unknown("setting synchronous_standby_names could not be read");
    if (unseen(seen, judge, "standbys"))
        return;
    const std::string &text = setting->second.value;
    const std::optional<SynchronousNames> wanted = parse_synchronous_names(text);
    if (!wanted)
        return judge.unknown("synchronous_standby_names is not understood: " + text);
    if (wanted->required == 0)
        return judge.fine("no synchronous standbys are asked for");

    int usable = 0;
    std::vector<std::string> names;
    for (const observed::Standby &standby : server.standbys) {
        if (hidden(standby))
            return judge.unknown(
                "the state of the standbys is hidden: it takes the privileges of pg_read_all_stats");
        if (standby.state != "streaming" || !wanted->names_standby(standby.name))
            continue;
        ++usable;
        names.push_back(standby.name);
    }
    judge.fine(format("%d of the %d required synchronous standbys are streaming (%s)", usable,
                      wanted->required, base::join(names, ", ").c_str()));
    if (usable >= wanted->required)
        return;
    Finding &finding =
        judge.found(Status::critical, "",
                    format("%d of the %d required synchronous standbys are streaming: every commit hangs "
                           "(synchronous_standby_names = %s)",
                           usable, wanted->required, text.c_str()));
    finding.value = usable;
    finding.threshold = wanted->required;
    finding.lethal = true;
    finding.cause = "synchronous standby missing -> commits wait for its confirmation -> clients pile up";
    finding.evidence.add("synchronous_standby_names", text)
        .add("required", wanted->required)
        .add("streaming", usable)
        .add("streaming_standbys", base::join(names, ", "));
    // keeps what redundancy there is
    std::vector<std::string> quoted;
    for (const std::string &name : wanted->names)
        quoted.push_back(name == "*" ? name : base::quote_identifier(name));
    const std::string possible = usable == 0 ? ""
                                             : format("%s %d (%s)", wanted->any ? "ANY" : "FIRST", usable,
                                                      base::join(quoted, ", ").c_str());
    const SettingChange change = change_setting(server, "synchronous_standby_names", possible);
    finding.fix = change.fix;
    finding.undo = change.undo;
}

void standby_replay(const Observations &seen, Judge &judge)
{
    const observed::Server &server = seen.server;
    if (!server.in_recovery)
        return judge.fine("this server is no standby");
    if (unseen(seen, judge, "standby replay"))
        return;
    if (!server.replay)
        return judge.unknown("the state of replay could not be read");
    const observed::StandbyReplay &replay = *server.replay;
    const observed::Database *database = server.current_database();
    const auto conflicts = database ? format("; %s of queries with replay since the statistics began",
                                             base::plural(database->conflicts, "conflict").c_str())
                                    : std::string();
    if (replay.has_primary && !replay.receiving) {
        Finding &finding = judge.found(Status::critical, "",
                                       "the standby is not connected to its primary: no WAL receiver runs");
        finding.cause = "no WAL receiver -> no new WAL -> the standby's data grow old";
        finding.fix = "-- the server log says why; check primary_conninfo, the slot named in "
                      "primary_slot_name, and pg_hba.conf of the primary";
    }
    if (replay.paused) {
        Finding &finding = judge.found(Status::warning, "", "replay is paused on this standby");
        finding.fix = "SELECT pg_wal_replay_resume();";
        finding.undo = "SELECT pg_wal_replay_pause();";
    }
    // With nothing received that is not replayed, the last commit is old because the primary is quiet.
    const int64_t behind = replay.unreplayed_bytes.value_or(0);
    const double deliberate = server.setting_number("recovery_min_apply_delay", 0) / 1000;
    const double late = behind > 0 ? std::max(0.0, replay.since_commit_seconds.value_or(0) - deliberate) : 0;
    if (Finding *finding = judge.measure(
            late, "",
            format("the standby has %s of WAL to replay and shows data %s old", size_text(behind).c_str(),
                   base::duration_text(replay.since_commit_seconds.value_or(0)).c_str()))) {
        finding->evidence.add("unreplayed_bytes", behind)
            .add("since_commit_seconds", replay.since_commit_seconds)
            .add("paused", replay.paused);
        if (database)
            finding->evidence.add("conflicts", database->conflicts);
        finding->fix = replay.paused
                           ? "SELECT pg_wal_replay_resume();"
                           : "-- a long query here may hold replay up: SELECT pid, query_start, query FROM "
                             "performance.active_queries ORDER BY query_start;";
    }
    judge.fine(behind == 0 ? "everything received is replayed" + conflicts
                           : format("%s to replay%s", size_text(behind).c_str(), conflicts.c_str()));
}

void subscriptions(const Observations &seen, Judge &judge)
{
    if (seen.server.in_recovery)
        return judge.fine("a standby applies no subscription");
    if (unseen(seen, judge, "subscriptions"))
        return;
    for (const observed::Subscription &subscription : seen.server.subscriptions) {
        const int64_t errors = subscription.apply_errors + subscription.sync_errors;
        const std::string name = base::quote_identifier(subscription.name);
        if (subscription.enabled && subscription.running)
            continue;
        if (!subscription.enabled && (errors == 0 || !subscription.disables_on_error))
            continue; // switched off by a person: without disable_on_error no error does it
        Finding &finding = judge.found(
            Status::critical, "subscription " + name,
            subscription.enabled ? format("subscription %s is enabled but no apply worker runs (%s so far)",
                                          name.c_str(), base::plural(errors, "error").c_str())
                                 : format("subscription %s is disabled after %s", name.c_str(),
                                          base::plural(errors, "error").c_str()));
        finding.evidence.add("enabled", subscription.enabled)
            .add("apply_errors", subscription.apply_errors)
            .add("sync_errors", subscription.sync_errors);
        finding.cause =
            "the worker stops at an error -> changes wait in the publisher's slot -> its pg_wal grows";
        finding.fix = subscription.enabled
                          ? format("-- the server log names the error; mend the conflicting row, or: ALTER "
                                   "SUBSCRIPTION %s DISABLE;",
                                   name.c_str())
                          : format("ALTER SUBSCRIPTION %s ENABLE;", name.c_str());
        if (!subscription.enabled)
            finding.undo = format("ALTER SUBSCRIPTION %s DISABLE;", name.c_str());
    }
    judge.fine(
        seen.server.subscriptions.empty()
            ? "no subscriptions"
            : format("%s, each running or switched off on purpose",
                     base::plural(static_cast<int64_t>(seen.server.subscriptions.size()), "subscription")
                         .c_str()));
}

constexpr Check checks[] = {
    {
        .id = "replication_lag",
        .title = "WAL that standbys have not replayed",
        .category = Category::replication,
        .points = 40,
        .metric = "replication_lag_mb",
        .unit = "MB",
        .warning = 100,
        .critical = 1024,
        .explanation =
            "How much WAL every connected standby still has to replay (a receiver of WAL files: to "
            "write).",
        .source = "pg_wal_lsn_diff(end of WAL, pg_stat_replication.replay_lsn)",
        .evaluate = replication_lag,
    },
    {
        .id = "replication_delay",
        .title = "how late standbys replay",
        .category = Category::replication,
        .points = 30,
        .metric = "replication_delay_seconds",
        .unit = "s",
        .warning = 5,
        .critical = 30,
        .explanation = "The time between a change here and its replay on a standby, while there is something "
                       "to replay.",
        .source = "pg_stat_replication.replay_lag",
        .evaluate = replication_delay,
    },
    {
        .id = "synchronous_standbys",
        .title = "synchronous standbys missing",
        .category = Category::replication,
        .points = 100,
        .explanation = "Fewer streaming standbys than synchronous_standby_names requires: every commit waits "
                       "until one comes back.",
        .source = "syncrep.c: streaming standbys that the setting names, against the number it asks for",
        .evaluate = synchronous_standbys,
    },
    {
        .id = "missing_standby",
        .title = "declared standbys that are gone",
        .category = Category::replication,
        .points = 40,
        .explanation =
            "Standbys declared with opsrunbook.declare_standby() that an observation of the alerts "
            "has seen streaming from this server and that do not stream any more.",
        .source = "pg_stat_replication.application_name against opsrunbook.streaming_standby",
        .evaluate = missing_standby,
    },
    {
        .id = "standby_replay",
        .title = "replay on this standby",
        .category = Category::replication,
        .points = 50,
        .metric = "standby_replay_seconds",
        .unit = "s",
        .warning = 60,
        .critical = 600,
        .explanation =
            "On a standby: whether it receives WAL, whether replay is paused, and how old its data are. The "
            "age "
            "counts only while there is WAL to replay (a quiet primary makes old commits), and beyond "
            "recovery_min_apply_delay.",
        .source = "pg_last_xact_replay_timestamp(), pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn(), "
                  "pg_stat_wal_receiver",
        .evaluate = standby_replay,
    },
    {
        .id = "subscriptions",
        .title = "logical subscriptions that do not run",
        .category = Category::replication,
        .points = 50,
        .explanation = "Subscriptions of this database that are enabled without a running apply worker, or "
                       "that were disabled after an error. Counted errors of a running one are history.",
        .source = "pg_subscription, pg_stat_subscription, pg_stat_subscription_stats",
        .evaluate = subscriptions,
    },
};

} // namespace

std::span<const Check> replication_checks()
{
    return checks;
}

} // namespace opsrunbook::health
