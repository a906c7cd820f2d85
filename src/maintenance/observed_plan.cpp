#include "maintenance/observed_plan.hpp"

#include <algorithm>
#include <iterator>

#include "maintenance/bloated_indexes.hpp"
#include "maintenance/retention/policies.hpp"
#include "maintenance/verification/plan_verification.hpp"
#include "maintenance/verification/verification.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

std::vector<PlannedTask> observed_plan(const observed::Relations &relations, const observed::Server &server,
                                       TaskFilter filter, int verify_interval_days)
{
    if (filter != TaskFilter::everything)
        return plan_tasks(relations, server, filter, {});
    std::vector<PlannedTask> tasks =
        plan_tasks(relations, server, filter, measure_worn_indexes(relations), expired_rows());
    if (verify_interval_days > 0 && !obstacle_to_verifying())
        std::ranges::move(plan_verification(relations, verified_tables(), verify_interval_days),
                          std::back_inserter(tasks));
    return tasks;
}

} // namespace opsrunbook::maintenance
