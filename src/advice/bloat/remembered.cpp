#include "advice/bloat/remembered.hpp"

#include "pg/database.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

using observed::Bloat;

std::unordered_map<uint32_t, Bloat> remembered_bloat()
{
    const pg::Result rows = pg::house_query(
        "SELECT relation, file, is_index, greatest(extract(epoch FROM statement_timestamp() - measured_at), "
        "0)"
        "::float8 AS seconds_ago, relation_bytes, bloat_pct, interval_low_pct, interval_high_pct, dead_pct,"
        " reserved_pct, method, confidence FROM opsrunbook.measured_bloat"
        " WHERE measured_at > statement_timestamp() - interval '1 day'");
    std::unordered_map<uint32_t, Bloat> remembered;
    for (size_t r = 0; r < rows.size(); ++r) {
        Bloat bloat;
        bloat.relation = static_cast<uint32_t>(rows.at(r, "relation").integer());
        bloat.file = static_cast<uint32_t>(rows.at(r, "file").integer());
        bloat.index = rows.at(r, "is_index").boolean();
        bloat.seconds_ago = rows.at(r, "seconds_ago").real();
        bloat.bytes = rows.at(r, "relation_bytes").integer();
        bloat.pct = rows.at(r, "bloat_pct").real();
        bloat.low_pct = rows.at(r, "interval_low_pct").real();
        bloat.high_pct = rows.at(r, "interval_high_pct").real();
        bloat.dead_pct = rows.at(r, "dead_pct").real();
        bloat.reserved_pct = rows.at(r, "reserved_pct").real();
        bloat.method = rows.at(r, "method").text();
        bloat.confidence = rows.at(r, "confidence").text();
        remembered.emplace(bloat.relation, std::move(bloat));
    }
    return remembered;
}

void remember_bloat(const std::vector<Bloat> &observed)
{
    base::Value::Integers relations;
    for (const Bloat &bloat : observed)
        relations.push_back(bloat.relation);
    pg::query("DELETE FROM opsrunbook.measured_bloat WHERE relation::bigint <> ALL ($1::bigint[])",
              {relations});
    for (const Bloat &bloat : observed)
        if (bloat.measured() && !bloat.seconds_ago)
            pg::query(
                "INSERT INTO opsrunbook.measured_bloat (relation, file, is_index, measured_at,"
                " relation_bytes, bloat_pct, interval_low_pct, interval_high_pct, dead_pct, reserved_pct,"
                " method, confidence) VALUES ($1::bigint::oid, $2::bigint::oid, $3, statement_timestamp(),"
                " $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (relation) DO UPDATE SET"
                " file = EXCLUDED.file, measured_at = EXCLUDED.measured_at,"
                " relation_bytes = EXCLUDED.relation_bytes, bloat_pct = EXCLUDED.bloat_pct,"
                " interval_low_pct = EXCLUDED.interval_low_pct,"
                " interval_high_pct = EXCLUDED.interval_high_pct, dead_pct = EXCLUDED.dead_pct,"
                " reserved_pct = EXCLUDED.reserved_pct, method = EXCLUDED.method,"
                " confidence = EXCLUDED.confidence",
                {bloat.relation, bloat.file, bloat.index, bloat.bytes, bloat.pct, bloat.low_pct,
                 bloat.high_pct, bloat.dead_pct, bloat.reserved_pct, bloat.method, bloat.confidence});
}

} // namespace opsrunbook::advice
