// Arguments and rows of SQL functions: the two ends of a call.
#include "pg/arguments.hpp"
#include "pg/datum.hpp"
#include "pg/rows.hpp"

#include <stdexcept>

extern "C" {
#include "utils/lsyscache.h"
}

namespace opsrunbook::pg {

base::Value Arguments::value(int number) const
{
    return value_of(call([this, number] {
        return plain_of(PG_GETARG_DATUM(number), PG_ARGISNULL(number),
                        get_fn_expr_argtype(fcinfo->flinfo, number));
    }));
}

std::string Arguments::printed(int number) const
{
    const char *const text = call([this, number]() -> const char * {
        if (PG_ARGISNULL(number))
            return "";
        Oid output;
        bool varlena;
        getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, number), &output, &varlena);
        return OidOutputFunctionCall(output, PG_GETARG_DATUM(number));
    });
    return text;
}

void Rows::add(std::initializer_list<base::Value> values)
{
    constexpr size_t widest = 64;
    Cell cells[widest];
    if (values.size() > widest || static_cast<int>(values.size()) > rsinfo->setDesc->natts)
        throw std::logic_error("a row has more values than its function has columns");
    size_t count = 0;
    for (const base::Value &value : values)
        cells[count++] = cell_of(value);
    call([this, &cells, count] {
        Datum datums[widest] = {};
        bool nulls[widest];
        MemoryContext const memory =
            AllocSetContextCreate(CurrentMemoryContext, "opsrunbook row", ALLOCSET_SMALL_SIZES);
        MemoryContext const before = MemoryContextSwitchTo(memory);
        for (int i = 0; i < rsinfo->setDesc->natts; ++i) {
            nulls[i] = i >= static_cast<int>(count) || cells[i].kind == Cell::Kind::null;
            if (!nulls[i])
                datums[i] = datum_of(cells[i], TupleDescAttr(rsinfo->setDesc, i)->atttypid);
        }
        tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, datums, nulls);
        MemoryContextSwitchTo(before);
        MemoryContextDelete(memory);
    });
}

} // namespace opsrunbook::pg
