// The transactions of retention: a batch, a count, an old partition.
#include "maintenance/retention/application.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "maintenance/journal.hpp"
#include "pg/as_role.hpp"
#include "pg/pause.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

using base::format;

namespace {

constexpr int tries_for_a_lock = 3;
constexpr double seconds_between_tries = 1;

bool passes_by_waiting(const pg::ServerError &error)
{
    return error.sqlstate == "55P03" || error.sqlstate == "40P01" || error.sqlstate == "40001";
}

} // namespace

void Application::give_up_on_locks()
{
    pg::query("SELECT set_config('lock_timeout', $1, true)", {format("%dms", request.lock_timeout_ms)});
}

uint32_t Application::owner_whose_rights_we_have(const RetentionTable &table) const
{
    const pg::Result result = pg::query(
        "SELECT pg_has_role(c.relowner, 'USAGE'), c.relowner = $2::bigint::oid"
        " AND c.oid = to_regclass(format('%I.%I', $3::text, $4::text)), t.oid IS NOT NULL"
        " FROM pg_class c LEFT JOIN pg_class t ON t.oid = $5::bigint::oid"
        " AND t.oid = to_regclass(format('%I.%I', $6::text, $7::text)) WHERE c.oid = $1::bigint::oid",
        {stored.relation, stored.owner, stored.schema, stored.name, table.relation, table.schema,
         table.name});
    if (result.empty())
        throw base::Error(base::ErrorKind::not_ready, "the table was dropped meanwhile");
    if (!result.at(0, size_t{1}).boolean())
        throw base::Error(base::ErrorKind::not_ready, "the table was renamed or changed hands meanwhile");
    if (!result.at(0, size_t{2}).boolean())
        throw base::Error(base::ErrorKind::not_ready,
                          format("table %s was dropped or renamed meanwhile",
                                 base::qualified_name(table.schema, table.name).c_str()));
    if (!result.at(0, size_t{0}).boolean())
        throw base::Error(base::ErrorKind::not_allowed, "the role has lost the rights of the table's owner");
    return stored.owner;
}

std::optional<pg::ServerError> Application::commit(const RetentionTable &table, const std::string &sql,
                                                   const std::function<void(const pg::Result &)> &tell)
{
    for (int attempt = 1;; ++attempt) {
        const RetentionStep before = summary;
        std::optional<pg::ServerError> error = pg::worker_transaction([&] {
            const uint32_t owner = owner_whose_rights_we_have(table);
            give_up_on_locks();
            // The statement names the table: under this lock the name stays this table's, and its owner.
            pg::as_role(owner, [&] {
                pg::query("LOCK TABLE ONLY " + base::qualified_name(table.schema, table.name) +
                          " IN ACCESS SHARE MODE");
            });
            owner_whose_rights_we_have(table);
            pg::query("SET CONSTRAINTS ALL IMMEDIATE"); // the commit is not the owner's
            pg::Result result;
            pg::as_role(owner, [&] { result = pg::query(sql); });
            tell(result);
        });
        if (!error)
            return error;
        summary = before;
        if (attempt == tries_for_a_lock || !passes_by_waiting(*error))
            return error;
        // In a transaction, where a cancellation is the end of the batch and not of the worker.
        if (auto cancelled = pg::worker_transaction([] { pg::pause(seconds_between_tries); }))
            return cancelled;
    }
}

void Application::count(const RetentionTable &table)
{
    const auto error = commit(table, count_sql(policy, table), [this](const pg::Result &result) {
        const int64_t rows = result.at(0, size_t{0}).integer();
        summary.rows = *summary.rows + rows;
        summary.batches += (rows + policy.batch_size - 1) / policy.batch_size;
        write(summary);
    });
    if (error)
        fail("", *error);
}

Application::Moved Application::widened(const pg::Result &batch) const
{
    const auto known = [](const std::string &time) {
        return time.empty() ? base::Value() : base::Value(time);
    };
    const std::string type = "::text::" + policy.time_type; // the server compares: it knows infinity and BC
    const pg::Result stretch = pg::query(
        "SELECT least($1" + type + ", $2" + type + ")::text, greatest($3" + type + ", $4" + type + ")::text",
        {known(moved.from), batch.at(0, "gone_from"), known(moved.to), batch.at(0, "gone_to")});
    return {stretch.at(0, size_t{0}).text(), stretch.at(0, size_t{1}).text()};
}

std::optional<Application::Batch> Application::do_batch(const RetentionTable &table, const std::string &sql)
{
    Batch batch = {};
    Moved all;
    const auto error = commit(table, sql, [&](const pg::Result &result) {
        batch = {result.at(0, "chosen").integer(), result.at(0, "gone").integer(),
                 result.at(0, "latest").text()};
        all = moved;
        if (batch.gone == 0)
            return;
        summary.rows = *summary.rows + batch.gone;
        ++summary.batches;
        if (!policy.archive.empty()) {
            all = widened(result);
            summary.undo = undo_archive(policy, all.from, all.to);
        }
        write(summary);
    });
    if (error) {
        fail("stopped: ", *error);
        return std::nullopt;
    }
    moved = all;
    return batch;
}

void Application::walk_index(const RetentionTable &table)
{
    IndexStretch stretch;
    for (;;) {
        const auto batch = do_batch(table, batch_sql(policy, table, stretch));
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

void Application::walk_blocks(const RetentionTable &table)
{
    constexpr int64_t block_bytes = 8192; // a smaller real block only makes the walk overshoot the end
    const int64_t blocks = (table.bytes + block_bytes - 1) / block_bytes;
    const double per_block = table.rows > 0 && blocks > 0 ? table.rows / static_cast<double>(blocks) : 100;
    int64_t span = std::max<int64_t>(
        1, static_cast<int64_t>(static_cast<double>(policy.batch_size) / std::max(1.0, per_block)));
    for (int64_t first = 0; first < blocks;) {
        const auto batch = do_batch(table, batch_sql(policy, table, BlockStretch{first, first + span}));
        if (!batch)
            return;
        first += span;
        span = next_span(span, batch->chosen, policy.batch_size);
    }
    count_left(table);
}

void Application::count_left(const RetentionTable &table)
{
    const auto error = commit(table, count_sql(policy, table), [this](const pg::Result &result) {
        left += result.at(0, size_t{0}).integer();
    });
    if (error)
        fail("", *error);
}

void Application::remove_partition(const RetentionTable &table, RetentionWay way)
{
    RetentionStep step =
        new_step(base::qualified_name(table.schema, table.name),
                 way == RetentionWay::drop_partition ? "drop partition" : "detach partition");
    step.command = partition_command(table, way);
    const std::string about =
        table.rows >= 0 ? format("about %s, ", base::plural(static_cast<int64_t>(table.rows), "row").c_str())
                        : "";
    step.details =
        format("%s%s: older than %s as a whole", about.c_str(), table.bound.c_str(), policy.cutoff.c_str());
    if (request.dry_run) {
        step.status = "planned";
        write_now(step);
        return;
    }
    step.status = "completed";
    if (way == RetentionWay::detach_partition)
        step.undo = undo_detach(table);
    const auto error = pg::worker_transaction([&] {
        const uint32_t owner = owner_whose_rights_we_have(table);
        give_up_on_locks();
        pg::as_role(owner, [&] {
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
        });
        write(step);
    });
    if (!error)
        return;
    step.status = passes_by_waiting(*error) ? "skipped" : "failed";
    step.undo = "";
    step.details = said(*error);
    pg::record_outcome([&] {
        if (!house_stands())
            return;
        if (step.status == "skipped")
            step.details = "could not be locked within the lock timeout" + holders_of(table);
        write(step);
    });
    if (step.status == "failed")
        fail("stopped at partition " + step.relation + ": ", *error);
}

std::string Application::holders_of(const RetentionTable &table)
{
    const std::string holders =
        pg::query(
            "SELECT string_agg(DISTINCT format('process %s (%s)', l.pid, a.usename), ', ') FROM pg_locks l"
            " LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND l.pid <> pg_backend_pid()"
            " AND l.locktype = 'relation' AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname ="
            " current_database()) AND l.relation IN ($1::bigint::oid, $2::bigint::oid)",
            {table.relation, table.parent_relation})
            .at(0, size_t{0})
            .text();
    return holders.empty() ? "" : ": " + holders + " uses it or its parent";
}

} // namespace opsrunbook::maintenance
