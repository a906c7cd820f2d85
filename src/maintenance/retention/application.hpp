#pragma once
// One policy's way through its tables.  Each method that acts runs transactions of its own, unless it says
// otherwise.

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "maintenance/retention/policies.hpp"
#include "maintenance/retention/runs.hpp"
#include "pg/server_error.hpp"
#include "pg/worker.hpp"

namespace opsrunbook::maintenance {

std::string said(const pg::ServerError &error); // with detail and hint, on one line

class Application {
public:
    Application(const pg::WorkerRequest &request_, const StoredPolicy &stored_, int &steps_)
        : request(request_), stored(stored_), steps(steps_)
    {
    }

    // The error that stopped it.
    std::optional<pg::ServerError> run();

private:
    RetentionStep new_step(const std::string &relation, const std::string &action);

    // In a transaction.
    void write(const RetentionStep &step);
    void write_now(const RetentionStep &step);
    void finish(const std::string &status, const std::string &details);
    void fail(const std::string &before, const pg::ServerError &error);
    std::string obstacle_before() const;
    void prepare();

    // In a transaction, too.
    void give_up_on_locks();
    // Throws unless the policy's table and this one are what they were when the run began, and the rights
    // are.
    uint32_t owner_whose_rights_we_have(const RetentionTable &table) const;

    // One statement in a transaction of its own with the owner's rights, and the step that tells of it.
    std::optional<pg::ServerError> commit(const RetentionTable &table, const std::string &sql,
                                          const std::function<void(const pg::Result &)> &tell);
    void visit(const RetentionTable &table);
    // What cannot be done to the policy's own table is the policy's outcome; to a partition, a row of its
    // own.
    void refuse(const RetentionTable &table, const std::string &why, const std::string &command);
    void count(const RetentionTable &table);

    // Runs a batch; nothing when the policy is stopped.
    struct Batch {
        int64_t chosen, gone;
        std::string latest;
    };
    // The stretch of time that the policy has moved, with another batch's.
    struct Moved {
        std::string from, to; // empty: nothing yet
    };
    Moved widened(const pg::Result &batch) const;
    std::optional<Batch> do_batch(const RetentionTable &table, const std::string &sql);
    void walk_index(const RetentionTable &table);
    void walk_blocks(const RetentionTable &table);
    // Rows that somebody else holds are not waited for.
    void count_left(const RetentionTable &table);
    std::string holders_of(const RetentionTable &table); // "": nobody any more
    void remove_partition(const RetentionTable &table, RetentionWay way);
    std::string closing_words() const;

    const pg::WorkerRequest &request;
    const StoredPolicy &stored;
    int &steps;
    RetentionStep summary;
    RetentionPolicy policy;
    std::vector<RetentionTable> tables;
    std::set<uint32_t> gone; // partitions that went as a whole
    Moved moved;
    int64_t left = 0;
    bool locked =
        false; // one operation a table at a time: from prepare() to the end of run(), through errors
    bool going_on = true;
    std::optional<pg::ServerError> failure;
};

} // namespace opsrunbook::maintenance
