#include "maintenance/retention/apply.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/journal.hpp"
#include "maintenance/retention/policies.hpp"
#include "maintenance/retention/runs.hpp"
#include "pg/as_role.hpp"
#include "pg/role.hpp"
#include "pg/server_error.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

namespace {

using base::format;

constexpr int tries_for_a_lock = 3;
constexpr double seconds_between_tries = 1;

std::string said(const pg::ServerError &error)
{
    return error.message + (error.detail.empty() ? "" : " (" + error.detail + ")") +
           (error.hint.empty() ? "" : ". " + error.hint);
}

bool passes_by_waiting(const pg::ServerError &error)
{
    return error.sqlstate == "55P03" || error.sqlstate == "40P01" || error.sqlstate == "40001";
}

// One policy's way through its tables.
class Application {
public:
    Application(const pg::WorkerRequest &request_, const StoredPolicy &stored_, int &steps_)
        : request(request_), stored(stored_), steps(steps_)
    {
    }

    void run()
    {
        summary = new_step(base::qualified_name(stored.schema, stored.name),
                           stored.archive_name.empty() ? "delete" : "archive");
        if (const std::string obstacle = obstacle_before(); !obstacle.empty()) {
            finish("skipped", obstacle);
            return;
        }
        const auto error = pg::worker_transaction([this] { prepare(); });
        if (error)
            finish("failed", said(*error));
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
            if (locked)
                pg::worker_transaction([this] { pg::unlock_relation_task(stored.relation); });
        }
    }

private:
    RetentionStep new_step(const std::string &relation, const std::string &action)
    {
        RetentionStep step;
        step.number = ++steps;
        step.relation = relation;
        step.action = action;
        return step;
    }

    // In a transaction.
    void write(const RetentionStep &step)
    {
        write_retention_step(request.run_id, step, pg::current_user_name());
    }

    void write_now(const RetentionStep &step)
    {
        pg::worker_transaction([&] {
            if (house_stands())
                write(step);
        });
    }

    void finish(const std::string &status, const std::string &details)
    {
        going_on = false;
        summary.status = status;
        summary.details = details;
        write_now(summary);
    }

    std::string obstacle_before() const
    {
        if (stored.relation == 0)
            return format("the table does not exist any more: SELECT opsrunbook.drop_retention(%s, %s); "
                          "forgets the policy",
                          base::quote_literal(stored.schema).c_str(),
                          base::quote_literal(stored.name).c_str());
        if (!stored.permitted)
            return format("only a role with the rights of %s, who owns the table, may apply its policy",
                          base::quote_identifier(stored.owner_name).c_str());
        return "";
    }

    void prepare()
    {
        locked = pg::try_lock_relation_task(stored.relation);
        if (!locked)
            return;
        give_up_on_locks();
        policy = resolve(stored);
        tables = tables_of(policy);
        summary.rows = 0;
        summary.command = plain_delete(policy, tables.front());
        write(summary);
    }

    void give_up_on_locks()
    {
        pg::query("SELECT set_config('lock_timeout', $1, true)", {format("%dms", request.lock_timeout_ms)});
    }

    // One operation a table at a time; an error's abort has released the table.
    void hold_table()
    {
        locked = locked || pg::try_lock_relation_task(stored.relation);
        if (!locked)
            throw base::Error(base::ErrorKind::not_ready,
                              "another maintenance worker has taken the table over");
    }

    // In a transaction: the rights of this moment, not those of the run's start.
    uint32_t owner_whose_rights_we_have() const
    {
        const pg::Result result = pg::query("SELECT c.relowner::bigint, pg_has_role(c.relowner, 'USAGE')"
                                            " FROM pg_class c WHERE c.oid = $1::bigint::oid",
                                            {stored.relation});
        if (result.empty())
            throw base::Error(base::ErrorKind::not_ready, "the table was dropped meanwhile");
        if (!result.at(0, size_t{1}).boolean())
            throw base::Error(base::ErrorKind::not_allowed,
                              "the role has lost the rights of the table's owner");
        return static_cast<uint32_t>(result.at(0, size_t{0}).integer());
    }

    // One statement in a transaction of its own with the owner's rights, and the step that tells of it.
    std::optional<pg::ServerError> commit(const std::string &sql,
                                          const std::function<void(const pg::Result &)> &tell)
    {
        for (int attempt = 1;; ++attempt) {
            const RetentionStep before = summary;
            const auto error = pg::worker_transaction([&] {
                hold_table();
                const uint32_t owner = owner_whose_rights_we_have();
                give_up_on_locks();
                pg::Result result;
                {
                    const pg::AsRole as_owner(owner);
                    result = pg::query(sql);
                    pg::query("SET CONSTRAINTS ALL IMMEDIATE");
                }
                tell(result);
            });
            if (!error)
                return error;
            locked = false;
            summary = before;
            if (attempt == tries_for_a_lock || !passes_by_waiting(*error))
                return error;
            pg::worker_sleep(seconds_between_tries);
        }
    }

    void visit(const RetentionTable &table)
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
            refuse(table, "a foreign table: its rows cannot be locked row by row",
                   plain_delete(policy, table));
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

    // What cannot be done to the policy's own table is the policy's outcome; to a partition, a row of its
    // own.
    void refuse(const RetentionTable &table, const std::string &why, const std::string &command)
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

    void count(const RetentionTable &table)
    {
        const auto error = commit(count_sql(policy, table), [this](const pg::Result &result) {
            const int64_t rows = result.at(0, size_t{0}).integer();
            summary.rows = *summary.rows + rows;
            summary.batches += (rows + policy.batch_size - 1) / policy.batch_size;
            write(summary);
        });
        if (error)
            finish("failed", said(*error));
    }

    // Runs a batch; nothing when the policy is stopped.
    struct Batch {
        int64_t chosen, gone;
        std::string latest;
    };
    std::optional<Batch> do_batch(const std::string &sql)
    {
        Batch batch = {};
        const auto error = commit(sql, [&](const pg::Result &result) {
            batch = {result.at(0, "chosen").integer(), result.at(0, "gone").integer(),
                     result.at(0, "latest").text()};
            if (batch.gone == 0)
                return;
            summary.rows = *summary.rows + batch.gone;
            ++summary.batches;
            write(summary);
        });
        if (!error)
            return batch;
        finish("failed", "stopped: " + said(*error));
        return std::nullopt;
    }

    void walk_index(const RetentionTable &table)
    {
        IndexStretch stretch;
        for (;;) {
            const auto batch = do_batch(batch_sql(policy, table, stretch));
            if (!batch || batch->chosen < policy.batch_size)
                break;
            if (batch->gone == 0 && batch->latest == stretch.from) {
                finish("failed", "stopped: a trigger of the table keeps the rows from being deleted");
                return;
            }
            stretch.from = batch->latest;
        }
        if (going_on)
            count_left(table);
    }

    void walk_blocks(const RetentionTable &table)
    {
        constexpr int64_t block_bytes = 8192; // a smaller real block only makes the walk overshoot the end
        const int64_t blocks = (table.bytes + block_bytes - 1) / block_bytes;
        const double per_block =
            table.rows > 0 && blocks > 0 ? table.rows / static_cast<double>(blocks) : 100;
        int64_t span = std::max<int64_t>(
            1, static_cast<int64_t>(static_cast<double>(policy.batch_size) / std::max(1.0, per_block)));
        for (int64_t first = 0; first < blocks;) {
            const auto batch = do_batch(batch_sql(policy, table, BlockStretch{first, first + span}));
            if (!batch)
                return;
            first += span;
            span = next_span(span, batch->chosen, policy.batch_size);
        }
        count_left(table);
    }

    // Rows that somebody else holds are not waited for.
    void count_left(const RetentionTable &table)
    {
        const auto error = commit(count_sql(policy, table), [this](const pg::Result &result) {
            left += result.at(0, size_t{0}).integer();
        });
        if (error)
            finish("failed", said(*error));
    }

    void remove_partition(const RetentionTable &table, RetentionWay way)
    {
        RetentionStep step =
            new_step(base::qualified_name(table.schema, table.name),
                     way == RetentionWay::drop_partition ? "drop partition" : "detach partition");
        step.command = partition_command(table, way);
        const std::string about =
            table.rows >= 0
                ? format("about %s, ", base::plural(static_cast<int64_t>(table.rows), "row").c_str())
                : "";
        step.details = format("%s%s: older than %s as a whole", about.c_str(), table.bound.c_str(),
                              policy.cutoff.c_str());
        if (request.dry_run) {
            step.status = "planned";
            write_now(step);
            return;
        }
        step.status = "completed";
        const auto error = pg::worker_transaction([&] {
            hold_table();
            const uint32_t owner = owner_whose_rights_we_have();
            give_up_on_locks();
            {
                const pg::AsRole as_owner(owner);
                // The parent first, as DROP and DETACH lock them; then nobody can change the bound any more.
                pg::query("LOCK TABLE ONLY " + table.parent + " IN ACCESS EXCLUSIVE MODE");
                const pg::Result now =
                    pg::query("SELECT pg_get_expr(c.relpartbound, c.oid) = $2 AS same FROM pg_class c"
                              " JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.oid = $1::bigint::oid"
                              " AND i.inhparent = $3::bigint::oid",
                              {table.relation, table.bound, table.parent_relation});
                if (now.empty() || !now.at(0, size_t{0}).boolean())
                    throw base::Error(base::ErrorKind::not_ready, "the partition was changed meanwhile");
                pg::query(step.command);
            }
            write(step);
        });
        if (!error)
            return;
        locked = false;
        step.status = passes_by_waiting(*error) ? "skipped" : "failed";
        step.details = said(*error);
        pg::worker_transaction([&] {
            if (!house_stands())
                return;
            if (const std::string holders = lock_holders(table.relation);
                step.status == "skipped" && !holders.empty())
                step.details = "could not be locked within the lock timeout: " + holders;
            write(step);
        });
        if (step.status == "failed")
            finish("failed", "stopped at partition " + step.relation + ": " + step.details);
    }

    std::string closing_words() const
    {
        std::string words = format("older than %s", policy.cutoff.c_str());
        if (!policy.condition.empty())
            words += " and " + base::one_line(policy.condition, 200);
        if (left > 0)
            words += format("; %s held by other transactions, or kept by a trigger, left for the next run",
                            base::plural(left, "row").c_str());
        return words;
    }

    const pg::WorkerRequest &request;
    const StoredPolicy &stored;
    int &steps;
    RetentionStep summary;
    RetentionPolicy policy;
    std::vector<RetentionTable> tables;
    std::set<uint32_t> gone; // partitions that went as a whole
    int64_t left = 0;
    bool locked = false;
    bool going_on = true;
};

} // namespace

void apply_policies(const pg::WorkerRequest &request)
{
    std::vector<StoredPolicy> policies;
    pg::worker_transaction([&] {
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
            Application(request, policy, steps).run();
}

} // namespace opsrunbook::maintenance
