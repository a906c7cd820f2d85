// Settings that endanger data, wait for a restart or contain errors; extensions left behind.
#include "health/checks/checks.hpp"

#include <algorithm>

#include "health/checks/setting_change.hpp"
#include "health/checks/unseen.hpp"
#include "health/checks/versions.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

struct Danger {
    const char *setting;
    const char *safe;
    Status status;
    const char *consequence;
};

// track_counts and autovacuum are autovacuum_off's.
constexpr Danger dangers[] = {
    {"fsync", "on", Status::critical, "a crash of the machine can destroy the whole cluster"},
    {"full_page_writes", "on", Status::critical, "a crash during a page write leaves torn pages for good"},
    {"zero_damaged_pages", "off", Status::critical, "damaged pages are emptied instead of reported"},
    {"ignore_checksum_failure", "off", Status::critical, "damaged pages are read as if they were right"},
    {"ignore_invalid_pages", "off", Status::critical, "recovery passes over damage and loses data"},
    {"ignore_system_indexes", "off", Status::critical, "catalog look-ups scan whole tables and hide damage"},
    {"data_sync_retry", "off", Status::warning,
     "a failed fsync is tried again although the data may be gone"},
    {"allow_system_table_mods", "off", Status::warning, "catalogs can be changed by hand"},
    {"password_encryption", "scram-sha-256", Status::warning,
     "new passwords are stored as MD5 hashes, which can be replayed and which PostgreSQL 18 deprecates"},
};

// A value of this session alone says nothing about the server.
bool of_this_session(const observed::Setting &setting)
{
    return setting.source == "session" || setting.source == "client";
}

void add_change(Finding &finding, const SettingChange &change)
{
    finding.fix = change.fix;
    finding.undo = change.undo;
}

// Off by default, and missed when somebody looks for a cause.
std::string unrecorded(const observed::Server &server)
{
    std::vector<std::string> names;
    for (const char *name : {"log_lock_waits", "track_io_timing"})
        if (!server.setting_on(name, true))
            names.emplace_back(name);
    return names.empty() ? "" : "; off, though cheap and of use in an incident: " + base::join(names, ", ");
}

std::string unlimited(const observed::Server &server)
{
    std::vector<std::string> names;
    for (const char *name : {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"})
        if (server.setting_number(name, 1) == 0)
            names.emplace_back(name);
    return names.empty() ? "" : "; without limit: " + base::join(names, ", ");
}

void dangerous_settings(const Observations &seen, Judge &judge)
{
    const observed::Server &server = seen.server;
    for (const Danger &danger : dangers) {
        const auto found = server.settings.find(danger.setting);
        if (found == server.settings.end() || found->second.value == danger.safe ||
            of_this_session(found->second))
            continue;
        Finding &finding = judge.found(
            danger.status, danger.setting,
            format("%s is %s: %s", danger.setting, found->second.value.c_str(), danger.consequence));
        finding.evidence.add("value", found->second.value).add("source", found->second.source);
        add_change(finding, change_setting(server, danger.setting, danger.safe));
    }
    judge.fine("durability settings are as they should be" + unlimited(server) + unrecorded(server));
}

void pending_restart(const Observations &seen, Judge &judge)
{
    std::vector<std::string> names;
    for (const auto &[name, setting] : seen.server.settings)
        if (setting.pending_restart)
            names.push_back(name);
    judge.fine("no setting waits for a restart");
    if (names.empty())
        return;
    Finding &finding = judge.found(
        Status::warning, "",
        format("%s for a restart of the server: %s",
               names.size() == 1 ? "1 setting waits" : format("%zu settings wait", names.size()).c_str(),
               base::join(names, ", ").c_str()));
    finding.value = static_cast<double>(names.size());
    finding.evidence.add("settings", base::join(names, ", "));
    finding.fix =
        "-- restart the server (pg_ctl restart, or the service manager), or set the running values again";
}

void judge_files(const std::vector<std::string> &errors, const char *file, const char *what_happens,
                 const char *look, Judge &judge)
{
    judge.fine(format("no errors in %s", file));
    if (errors.empty())
        return;
    Finding &finding = judge.found(Status::critical, "",
                                   format("%s in %s (%s), first: %s",
                                          base::plural(static_cast<int64_t>(errors.size()), "error").c_str(),
                                          file, what_happens, errors.front().c_str()));
    finding.value = static_cast<double>(errors.size());
    finding.evidence.add("errors", base::join(errors, "\n"));
    finding.fix = format("-- correct the file, then: SELECT pg_reload_conf(); all errors: %s", look);
}

// These views are the superuser's unless granted.
void name_privilege(const observed::Server &server, Judge &judge, const char *view, const char *function)
{
    judge.findings.back().fix = format("GRANT SELECT ON %s TO %s; GRANT EXECUTE ON FUNCTION %s TO %s;", view,
                                       base::quote_identifier(server.user).c_str(), function,
                                       base::quote_identifier(server.user).c_str());
}

void configuration_file_errors(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "configuration files"))
        return name_privilege(seen.server, judge, "pg_catalog.pg_file_settings",
                              "pg_catalog.pg_show_all_file_settings()");
    judge_files(seen.server.setting_file_errors, "the configuration files",
                "a reload changes nothing and a restart fails",
                "SELECT * FROM pg_file_settings WHERE error IS NOT NULL;", judge);
}

void hba_errors(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "pg_hba.conf"))
        return name_privilege(seen.server, judge, "pg_catalog.pg_hba_file_rules",
                              "pg_catalog.pg_hba_file_rules()");
    judge_files(seen.server.hba_file_errors, "pg_hba.conf",
                "a reload keeps the old rules and a restart fails",
                "SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL;", judge);
}

void planner_switches(const Observations &seen, Judge &judge)
{
    // off by default
    constexpr std::string_view optional[] = {"enable_partitionwise_aggregate", "enable_partitionwise_join"};
    for (const auto &[name, setting] : seen.server.settings) {
        if (!name.starts_with("enable_") || setting.value != "off" || of_this_session(setting) ||
            std::find(std::begin(optional), std::end(optional), name) != std::end(optional))
            continue;
        Finding &finding =
            judge.found(Status::warning, name,
                        format("%s is off (set by: %s): the planner may not use what is often the best plan",
                               name.c_str(), setting.source.c_str()));
        finding.evidence.add("source", setting.source);
        add_change(finding, change_setting(seen.server, name, "on"));
    }
    judge.fine("the planner may use every kind of plan");
}

void extension_updates(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "extensions"))
        return;
    for (const observed::Extension &extension : seen.server.extensions) {
        const std::string name = base::quote_identifier(extension.name);
        if (extension.available.empty()) {
            Finding &finding = judge.found(
                Status::warning, extension.name,
                format("extension %s is installed here but its files are gone from the server: its functions "
                       "fail, and pg_upgrade and restores will",
                       name.c_str()));
            finding.evidence.add("installed", extension.installed);
            finding.fix = format("-- install the package of %s for this server's version", name.c_str());
        }
        else if (older_version(extension.installed, extension.available)) {
            Finding &finding =
                judge.found(Status::warning, extension.name,
                            format("extension %s is at version %s, the server has %s", name.c_str(),
                                   extension.installed.c_str(), extension.available.c_str()));
            finding.evidence.add("installed", extension.installed).add("available", extension.available);
            finding.fix = format("ALTER EXTENSION %s UPDATE;", name.c_str());
        }
    }
    judge.fine(
        format("%s up to date",
               base::plural(static_cast<int64_t>(seen.server.extensions.size()), "extension").c_str()));
}

constexpr Check checks[] = {
    {
        .id = "dangerous_settings",
        .title = "settings that endanger data",
        .category = Category::configuration,
        .points = 100,
        .explanation =
            "fsync and full_page_writes off, switches on that hide or pass over damage, or passwords "
            "stored as MD5 hashes.",
        .source = "pg_settings",
        .evaluate = dangerous_settings,
    },
    {
        .id = "pending_restart",
        .title = "settings that wait for a restart",
        .category = Category::configuration,
        .points = 15,
        .explanation = "The configuration files have changed in a way that the running server cannot take "
                       "up: the next restart brings the new values, expected or not.",
        .source = "pg_settings.pending_restart",
        .evaluate = pending_restart,
    },
    {
        .id = "configuration_file_errors",
        .title = "errors in the configuration files",
        .category = Category::configuration,
        .points = 60,
        .explanation = "postgresql.conf and what it includes contain an error: reloads are refused and the "
                       "next restart will fail. Settings that only wait for a restart do not count.",
        .source = "pg_file_settings.error",
        .evaluate = configuration_file_errors,
    },
    {
        .id = "hba_errors",
        .title = "errors in pg_hba.conf",
        .category = Category::configuration,
        .points = 60,
        .explanation = "pg_hba.conf contains an error: the old rules stay in force until the next restart, "
                       "which will fail.",
        .source = "pg_hba_file_rules.error",
        .evaluate = hba_errors,
    },
    {
        .id = "planner_switches",
        .title = "planner methods switched off",
        .category = Category::configuration,
        .points = 20,
        .explanation = "An enable_ setting is off for the server, this database or this role. These "
                       "switches are for experiments in a session.",
        .source = "pg_settings named enable_*",
        .evaluate = planner_switches,
    },
    {
        .id = "extension_updates",
        .title = "extensions not updated",
        .category = Category::configuration,
        .points = 10,
        .explanation = "Extensions whose SQL objects in this database are of an older version than the files "
                       "on the server, or whose files are gone.",
        .source = "pg_extension.extversion against pg_available_extensions.default_version",
        .evaluate = extension_updates,
    },
};

} // namespace

std::span<const Check> configuration_checks()
{
    return checks;
}

} // namespace opsrunbook::health
