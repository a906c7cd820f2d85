#include "maintenance/observed_plan.hpp"

#include "maintenance/bloated_indexes.hpp"
#include "maintenance/retention/policies.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

std::vector<PlannedTask> observed_plan(const observed::Relations &relations, const observed::Server &server,
                                       TaskFilter filter)
{
    if (filter != TaskFilter::everything)
        return plan_tasks(relations, server, filter, {});
    return plan_tasks(relations, server, filter, measure_worn_indexes(relations), expired_rows());
}

} // namespace opsrunbook::maintenance
