#include "pg/database.hpp"
#include "pg/boundary.hpp"
#include "pg/datum.hpp"

#include <stdexcept>

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace opsrunbook::pg {

namespace {

// A whole result in a memory context of its own.
struct PlainResult {
    MemoryContext memory;
    uint64_t processed;
    int columns;
    const char **names;
    PlainDatum *values;
    uint64_t rows;
};

// Server regime.  The result is copied out of SPI's memory before SPI_finish() frees it.
PlainResult run(const char *sql, int count, const Cell *cells, bool latest)
{
    PlainResult result = {};
    result.memory = AllocSetContextCreate(CurrentMemoryContext, "opsrunbook result", ALLOCSET_DEFAULT_SIZES);
    Oid *const types =
        static_cast<Oid *>(MemoryContextAlloc(result.memory, sizeof(Oid) * static_cast<size_t>(count + 1)));
    Datum *const datums = static_cast<Datum *>(
        MemoryContextAlloc(result.memory, sizeof(Datum) * static_cast<size_t>(count + 1)));
    char *const nulls =
        static_cast<char *>(MemoryContextAlloc(result.memory, static_cast<size_t>(count + 1)));
    MemoryContext const before = MemoryContextSwitchTo(result.memory);
    for (int i = 0; i < count; ++i) {
        const bool null = cells[i].kind == Cell::Kind::null;
        types[i] = parameter_type(cells[i].kind);
        nulls[i] = null ? 'n' : ' ';
        datums[i] = null ? 0 : datum_of(cells[i], types[i]);
    }
    MemoryContextSwitchTo(before);

    // Our own SQL never resolves a name or an operator through a path that others can write to.
    const int settings = NewGUCNestLevel();
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
                      0, false);
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    if (latest)
        PushActiveSnapshot(GetLatestSnapshot());
    const int status = SPI_execute_with_args(sql, count, types, datums, nulls, latest, 0);
    if (latest)
        PopActiveSnapshot();
    if (status < 0)
        elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(status));
    result.processed = SPI_processed;
    if (SPI_tuptable != nullptr) {
        const TupleDesc shape = SPI_tuptable->tupdesc;
        MemoryContextSwitchTo(result.memory);
        result.columns = shape->natts;
        result.rows = SPI_tuptable->numvals;
        const size_t columns = static_cast<size_t>(shape->natts);
        result.names = static_cast<const char **>(palloc(sizeof(char *) * (columns + 1)));
        result.values = static_cast<PlainDatum *>(
            MemoryContextAllocHuge(result.memory, sizeof(PlainDatum) * (columns * result.rows + 1)));
        for (int c = 0; c < shape->natts; ++c)
            result.names[c] = pstrdup(NameStr(TupleDescAttr(shape, c)->attname));
        for (uint64_t r = 0; r < result.rows; ++r)
            for (int c = 0; c < shape->natts; ++c) {
                bool null;
                const Datum datum = SPI_getbinval(SPI_tuptable->vals[r], shape, c + 1, &null);
                result.values[r * columns + static_cast<size_t>(c)] =
                    plain_of(datum, null, SPI_gettypeid(shape, c + 1));
            }
    }
    SPI_finish();
    AtEOXact_GUC(true, settings);
    MemoryContextSwitchTo(before);
    return result;
}

Result collect(const std::string &sql, const Parameters &parameters, bool latest)
{
    std::vector<Cell> cells;
    for (const base::Value &parameter : parameters)
        cells.push_back(cell_of(parameter));
    const PlainResult plain =
        call([&] { return run(sql.c_str(), static_cast<int>(cells.size()), cells.data(), latest); });
    Result result;
    result.processed = plain.processed;
    for (int c = 0; c < plain.columns; ++c)
        result.columns.emplace_back(plain.names[c]);
    const size_t count = plain.rows * static_cast<size_t>(plain.columns);
    result.values.reserve(count);
    for (size_t i = 0; i < count; ++i)
        result.values.push_back(value_of(plain.values[i]));
    call([&plain] { MemoryContextDelete(plain.memory); });
    return result;
}

} // namespace

const base::Value &Result::at(size_t row, std::string_view column) const
{
    for (size_t c = 0; c < columns.size(); ++c)
        if (columns[c] == column)
            return at(row, c);
    throw std::logic_error("a query has no column " + std::string(column));
}

Result query(const std::string &sql, const Parameters &parameters)
{
    return collect(sql, parameters, false);
}

Result query_latest(const std::string &sql, const Parameters &parameters)
{
    return collect(sql, parameters, true);
}

std::optional<ServerError> try_query(Result &result, const std::string &sql, const Parameters &parameters)
{
    return attempt([&] { result = query(sql, parameters); });
}

AsHouseOwner::AsHouseOwner()
{
    const Oid owner = call([] {
        const Oid house = get_namespace_oid("opsrunbook", false);
        HeapTuple const tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(house));
        if (!HeapTupleIsValid(tuple))
            elog(ERROR, "cache lookup failed for schema %u", house);
        const Oid found = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
        ReleaseSysCache(tuple);
        return found;
    });
    Oid before;
    GetUserIdAndSecContext(&before, &context);
    user = before;
    SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

AsHouseOwner::~AsHouseOwner()
{
    SetUserIdAndSecContext(user, context);
}

Result house_query(const std::string &sql, const Parameters &parameters)
{
    return as_house_owner([&] { return query(sql, parameters); });
}

} // namespace opsrunbook::pg
