#include "maintenance/retention/apply.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/journal.hpp"
#include "maintenance/retention/application.hpp"
#include "pg/role.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

using base::format;

std::string said(const pg::ServerError &error)
{
    return error.message + (error.detail.empty() ? "" : " (" + error.detail + ")") +
           (error.hint.empty() ? "" : ". " + error.hint);
}

std::optional<pg::ServerError> Application::run()
{
    summary = new_step(base::qualified_name(stored.schema, stored.name),
                       stored.archive_name.empty() ? "delete" : "archive");
    if (const std::string obstacle = obstacle_before(); !obstacle.empty()) {
        // What stands against the policy itself stays until somebody sees it.
        if (stored.permitted)
            failure = pg::ServerError{"55000", obstacle, "", ""};
        finish(stored.permitted ? "refused" : "skipped", obstacle);
        return failure;
    }
    const auto error = pg::worker_transaction([this] { prepare(); });
    if (error)
        fail("", *error);
    else if (!locked)
        finish("skipped", "another maintenance worker is at this table");
    else {
        for (const RetentionTable &table : tables)
            if (going_on && !gone.count(table.parent_relation))
                visit(table);
            else
                gone.insert(table.relation); // below a partition that went as a whole
        if (going_on)
            finish(request.dry_run ? "planned" : "completed", closing_words());
    }
    if (locked)
        pg::record_outcome([this] { pg::unlock_relation_task(stored.relation); });
    return failure;
}

RetentionStep Application::new_step(const std::string &relation, const std::string &action)
{
    RetentionStep step;
    step.number = ++steps;
    step.relation = relation;
    step.action = action;
    return step;
}

void Application::write(const RetentionStep &step)
{
    write_retention_step(request.run_id, step, pg::current_user_name());
}

void Application::write_now(const RetentionStep &step)
{
    pg::record_outcome([&] {
        if (house_stands())
            write(step);
    });
}

void Application::finish(const std::string &status, const std::string &details)
{
    going_on = false;
    summary.status = status;
    summary.details = details;
    write_now(summary);
}

void Application::fail(const std::string &before, const pg::ServerError &error)
{
    failure = error;
    finish("failed", before + said(error));
}

std::string Application::obstacle_before() const
{
    if (stored.relation == 0)
        return format("%s: SELECT opsrunbook.drop_retention(%s, %s); forgets the policy",
                      stored.reason_against.c_str(), base::quote_literal(stored.schema).c_str(),
                      base::quote_literal(stored.name).c_str());
    if (!stored.permitted)
        return format("only a role with the rights of %s, who owns the table, may apply its policy",
                      base::quote_identifier(stored.owner_name).c_str());
    if (!stored.reason_against.empty())
        return "the policy is not applied: " + stored.reason_against +
               "; set it again with opsrunbook.set_retention(), or remove it with "
               "opsrunbook.drop_retention()";
    return "";
}

void Application::prepare()
{
    locked = pg::try_lock_relation_task(stored.relation);
    if (!locked)
        return;
    // Since the run began it has been at other tables, and somebody else may have been at this one.
    const std::vector<StoredPolicy> now = stored_policies(stored.relation);
    if (request.days == 0 && now.empty())
        throw base::Error(base::ErrorKind::not_ready, "the policy was removed meanwhile");
    for (const StoredPolicy &policy_now : now)
        if (!policy_now.reason_against.empty())
            throw base::Error(base::ErrorKind::not_ready,
                              "the policy is not applied: " + policy_now.reason_against);
    note_identity(stored);
    give_up_on_locks();
    policy = resolve(stored);
    tables = tables_of(policy);
    summary.rows = 0;
    summary.command = plain_delete(policy, tables.front());
    write(summary);
}

void Application::visit(const RetentionTable &table)
{
    const int64_t limit = int64_t{request.seqscan_limit_mb} << 20;
    const RetentionWay way = choose_way(policy, table, limit);
    switch (way) {
    case RetentionWay::nothing:
        return;
    case RetentionWay::drop_partition:
    case RetentionWay::detach_partition:
        gone.insert(table.relation);
        remove_partition(table, way);
        return;
    case RetentionWay::refuse_unindexed:
        refuse(table,
               format("no index leads with %s, and reading the whole table (%s, the limit "
                      "opsrunbook.retention_seqscan_limit_mb is %d MB) would cost more than it brings: "
                      "create the index",
                      base::quote_identifier(policy.time_column).c_str(),
                      base::size_text(table.bytes).c_str(), request.seqscan_limit_mb),
               index_command(policy, table));
        return;
    case RetentionWay::refuse_foreign:
        refuse(table, "a foreign table: its rows cannot be locked row by row", plain_delete(policy, table));
        return;
    case RetentionWay::walk_index:
    case RetentionWay::walk_blocks:
        break;
    }
    if (request.dry_run)
        count(table);
    else if (way == RetentionWay::walk_index)
        walk_index(table);
    else
        walk_blocks(table);
}

void Application::refuse(const RetentionTable &table, const std::string &why, const std::string &command)
{
    if (table.relation == policy.relation) {
        summary.command = command;
        finish("refused", why);
        return;
    }
    RetentionStep step = new_step(base::qualified_name(table.schema, table.name), summary.action);
    step.status = "refused";
    step.details = why;
    step.command = command;
    write_now(step);
}

std::string Application::closing_words() const
{
    std::string words = format("older than %s", policy.cutoff.c_str());
    if (!policy.condition.empty())
        words += " and " + base::one_line(policy.condition, 200);
    if (left > 0)
        words += format("; %s held by other transactions, or kept by a trigger, left for the next run",
                        base::plural(left, "row").c_str());
    return words;
}

std::optional<pg::ServerError> apply_policies(const pg::WorkerRequest &request)
{
    std::vector<StoredPolicy> policies;
    auto error = pg::worker_transaction([&] {
        if (!house_stands())
            return;
        if (request.days > 0)
            policies = {policy_for_days(request.relation, request.days)};
        else
            policies = stored_policies(request.relation ? std::optional(request.relation) : std::nullopt);
    });
    int steps = 0;
    for (const StoredPolicy &policy : policies)
        if (!policy.name.empty() &&
            (policy.enabled || request.relation)) // no name: created but not committed
            if (auto stopped = Application(request, policy, steps).run())
                error = std::move(stopped);
    return error;
}

RetentionOutcome apply_policy(uint32_t relation, const pg::WorkerRequest &run)
{
    pg::WorkerRequest request = run;
    request.relation = relation;
    request.days = 0;
    request.dry_run = false;
    using Kind = RetentionOutcome::Kind;
    RetentionOutcome outcome;
    if (const auto error = pg::worker_transaction([&] { request.run_id = next_retention_run_id(); }))
        return {Kind::failed, said(*error), error->sqlstate};
    if (const auto stopped = apply_policies(request))
        outcome.sqlstate = stopped->sqlstate;
    const auto error = pg::record_outcome([&] {
        const pg::Result steps = retention_steps(request.run_id);
        if (steps.empty()) {
            if (outcome.sqlstate.empty())
                outcome = {Kind::skipped, "its retention policy is gone"};
            return;
        }
        int64_t rows = 0;
        for (size_t row = 0; row < steps.size(); ++row)
            if (!steps.at(row, "rows_affected").is_null())
                rows += steps.at(row, "rows_affected").integer();
        const std::string &status = steps.at(0, "status").text();
        outcome.words = steps.at(0, "details").text();
        if (status == "completed")
            outcome = {Kind::completed, base::plural(rows, "row") + " " + outcome.words};
        // Refused for want of an index, by no error, it waits for the index.
        else if (status == "skipped" || (status == "refused" && outcome.sqlstate.empty()))
            outcome.kind = Kind::skipped;
    });
    return error ? RetentionOutcome{Kind::failed, said(*error), error->sqlstate} : outcome;
}

} // namespace opsrunbook::maintenance
