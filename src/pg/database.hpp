#pragma once
// SQL from C++: one statement at a time through SPI, results copied out as values.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/value.hpp"
#include "pg/server_error.hpp"

namespace opsrunbook::pg {

using Parameters = std::vector<base::Value>;

class Result {
public:
    size_t size() const { return columns.empty() ? 0 : values.size() / columns.size(); }
    bool empty() const { return values.empty(); }
    const base::Value &at(size_t row,
                          std::string_view column) const; // an unknown column is a bug: logic_error
    const base::Value &at(size_t row, size_t column) const
    {
        return values.at(row * columns.size() + column);
    }

    std::vector<std::string> columns;
    std::vector<base::Value> values; // row by row
    uint64_t processed = 0;          // rows returned, or changed by an INSERT, UPDATE or DELETE
};

// Runs one statement of ours with its parameters ($1 …) as the current user, under search_path pg_catalog,
// pg_temp: names of other schemas are qualified.
Result query(const std::string &sql, const Parameters &parameters = {});

// The same with a snapshot taken now, whatever the isolation level: sees what workers have committed
// meanwhile.
Result query_latest(const std::string &sql, const Parameters &parameters = {});

// The same as query() in a subtransaction.  Nothing: the result is there; otherwise what the server refused.
std::optional<ServerError> try_query(Result &result, const std::string &sql,
                                     const Parameters &parameters = {});

// Runs the body's statements as the owner of the house (schema opsrunbook), as a security-definer function
// would: only for our own statements on our own tables, never for anything that a user wrote.
// However the body ends, the caller is itself again; SetUserIdAndSecContext() only assigns, so a destructor
// may call it.
class AsHouseOwner {
public:
    AsHouseOwner();
    AsHouseOwner(const AsHouseOwner &) = delete;
    AsHouseOwner &operator=(const AsHouseOwner &) = delete;
    ~AsHouseOwner();

private:
    unsigned user;
    int context;
};

template <class Body> auto as_house_owner(Body &&body)
{
    const AsHouseOwner switched;
    return body();
}

// query() as the owner of the house.
Result house_query(const std::string &sql, const Parameters &parameters = {});

} // namespace opsrunbook::pg
