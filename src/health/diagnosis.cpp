#include "health/diagnosis.hpp"

#include <algorithm>

#include "advice/bloat/candidates.hpp"
#include "pg/catalog/relations.hpp"
#include "pg/catalog/server.hpp"
#include "pg/catalog/standing.hpp"
#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

std::optional<double> number(const base::Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.real());
}

bool wanted(const std::vector<std::string> &ids, std::initializer_list<std::string_view> checks)
{
    return ids.empty() || std::any_of(checks.begin(), checks.end(), [&ids](std::string_view check) {
               return std::find(ids.begin(), ids.end(), check) != ids.end();
           });
}

} // namespace

Thresholds read_thresholds()
{
    const pg::Result rows = pg::as_house_owner([] {
        return pg::query("SELECT metric_name, object, warning, critical, enabled FROM opsrunbook.threshold");
    });
    std::vector<ThresholdRow> thresholds;
    for (size_t r = 0; r < rows.size(); ++r)
        thresholds.push_back({rows.at(r, "metric_name").text(), rows.at(r, "object").text(),
                              number(rows.at(r, "warning")), number(rows.at(r, "critical")),
                              rows.at(r, "enabled").boolean()});
    return Thresholds(std::move(thresholds));
}

Diagnosis diagnose(const std::vector<std::string> &ids)
{
    Diagnosis diagnosis;
    Observations &seen = diagnosis.seen;
    seen.relations = pg::read_relations();
    seen.server = pg::read_server();
    seen.server.database_bytes = pg::database_bytes(seen.relations);
    pg::read_outdated_collations(seen.server, seen.relations);
    if (wanted(ids, {"bloat", "index_bloat"}))
        seen.bloat = advice::observe_bloat(seen.relations);
    diagnosis.outcomes = evaluate(seen, read_thresholds(), ids);
    return diagnosis;
}

} // namespace opsrunbook::health
