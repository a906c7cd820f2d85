#include "health/diagnosis.hpp"

#include <algorithm>

#include "advice/bloat/candidates.hpp"
#include "health/alerting/mutes.hpp"
#include "health/alerting/stored.hpp"
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

bool named(const std::vector<std::string> &ids, std::string_view id)
{
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// Runs the users' checks that were asked for; the names left over are the registry's.
std::vector<std::string> add_user_checks(Diagnosis &diagnosis, const std::vector<std::string> &ids)
{
    std::vector<std::string> others = ids;
    for (UserCheck &check : read_user_checks()) {
        if (!ids.empty() && !named(ids, check.name))
            continue;
        std::erase(others, check.name);
        const UserCheckResult result = run_user_check(check);
        diagnosis.user_checks.push_back(std::make_unique<const ListedUserCheck>(std::move(check)));
        diagnosis.outcomes.push_back(outcome_of(*diagnosis.user_checks.back(), result));
    }
    return others;
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

Diagnosis diagnose(const std::vector<std::string> &asked)
{
    // What the mutes hide is known when everything has been looked at.
    const bool about_mutes = named(asked, "mute_hides_worse");
    const std::vector<std::string> ids = about_mutes ? std::vector<std::string>() : asked;
    Diagnosis diagnosis;
    Observations &seen = diagnosis.seen;
    seen.relations = pg::read_relations();
    seen.server = pg::read_server();
    seen.server.database_bytes = pg::database_bytes(seen.relations);
    pg::read_outdated_collations(seen.server, seen.relations);
    if (wanted(ids, {"bloat", "index_bloat"}))
        seen.bloat = advice::observe_bloat(seen.relations);
    std::vector<Outcome> &outcomes = diagnosis.outcomes;
    const std::vector<std::string> registered = add_user_checks(diagnosis, ids);
    if (ids.empty() || !registered.empty()) {
        std::vector<Outcome> own = evaluate(seen, read_thresholds(), registered);
        outcomes.insert(outcomes.begin(), std::make_move_iterator(own.begin()),
                        std::make_move_iterator(own.end()));
    }
    apply_mutes(outcomes, read_mutes(), seen.server.now);
    add_since(outcomes);
    if (about_mutes)
        std::erase_if(outcomes,
                      [&asked](const Outcome &outcome) { return !named(asked, outcome.check->id); });
    return diagnosis;
}

} // namespace opsrunbook::health
