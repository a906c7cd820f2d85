#include "pg/catalog/definitions.hpp"
#include "pg/boundary.hpp"
#include "pg/database.hpp"

extern "C" {
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
}

namespace opsrunbook::pg {

std::unordered_map<uint32_t, std::string> index_definitions(
    const std::vector<const observed::Index *> &indexes)
{
    std::unordered_map<uint32_t, std::string> definitions;
    for (const observed::Index *index : indexes) {
        const char *const text = call([index]() -> const char * {
            if (!ConditionalLockRelationOid(index->table, AccessShareLock))
                return nullptr;
            char *definition = nullptr;
            // With the table locked an index can come but not go.
            if (SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(index->relation.oid)))
                definition = pg_get_indexdef_string(index->relation.oid);
            UnlockRelationOid(index->table, AccessShareLock);
            CHECK_FOR_INTERRUPTS();
            return definition;
        });
        if (text != nullptr)
            definitions.emplace(index->relation.oid, std::string(text) + ";");
    }
    return definitions;
}

std::unordered_map<uint32_t, std::string> constraint_columns(const std::vector<uint32_t> &constraints)
{
    std::unordered_map<uint32_t, std::string> columns;
    if (constraints.empty())
        return columns;
    const Result rows =
        query("SELECT c.oid, string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) AS columns"
              " FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY k(number, place), pg_attribute a"
              " WHERE c.oid IN (SELECT unnest($1)::oid) AND a.attrelid = c.conrelid AND a.attnum = k.number"
              " GROUP BY c.oid",
              {base::Value::Integers(constraints.begin(), constraints.end())});
    for (size_t r = 0; r < rows.size(); ++r)
        columns.emplace(static_cast<uint32_t>(rows.at(r, "oid").integer()), rows.at(r, "columns").text());
    return columns;
}

} // namespace opsrunbook::pg
