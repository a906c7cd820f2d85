#include "pg/datum.hpp"

#include <cmath>

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/pg_lsn.h"
}

namespace opsrunbook::pg {

namespace {

template <class... Fns> struct Overloaded : Fns... {
    using Fns::operator()...;
};
template <class... Fns> Overloaded(Fns...) -> Overloaded<Fns...>;

char *text_of(const Cell &cell)
{
    switch (cell.kind) {
    case Cell::Kind::boolean:
        return pstrdup(cell.boolean ? "true" : "false");
    case Cell::Kind::integer:
        return psprintf(INT64_FORMAT, cell.integer);
    case Cell::Kind::real:
        return psprintf("%.15g", cell.real);
    case Cell::Kind::timestamp:
        return pstrdup(timestamptz_to_str(cell.integer));
    case Cell::Kind::interval: {
        Interval *const interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
        interval->time = cell.integer;
        return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)));
    }
    case Cell::Kind::text:
    case Cell::Kind::json:
        return pnstrdup(cell.text.data, cell.text.size);
    case Cell::Kind::null:
    case Cell::Kind::texts:
    case Cell::Kind::integers:
        break;
    }
    elog(ERROR, "a list cannot be turned into the type of its column");
}

// Two decimals are what people read; computing columns are bigint or double precision.
Datum numeric_of(const Cell &cell)
{
    if (cell.kind == Cell::Kind::integer)
        return NumericGetDatum(int64_to_numeric(cell.integer));
    if (!std::isfinite(cell.real))
        return DirectFunctionCall3(numeric_in, CStringGetDatum("NaN"), ObjectIdGetDatum(InvalidOid),
                                   Int32GetDatum(-1));
    char *const digits = psprintf("%.2f", cell.real);
    char *end = digits + strlen(digits);
    while (end[-1] == '0')
        *--end = '\0';
    if (end[-1] == '.')
        *--end = '\0';
    return DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid),
                               Int32GetDatum(-1));
}

// Days apart from hours, as people and subtraction of timestamps have it.
Datum interval_of(int64_t microseconds)
{
    Interval *const interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
    interval->day = static_cast<int32>(microseconds / USECS_PER_DAY);
    interval->time = microseconds % USECS_PER_DAY;
    return IntervalPGetDatum(interval);
}

// What does not fit goes through the type's input function, which says so.
bool fits_bigint(const Cell &cell)
{
    return cell.kind == Cell::Kind::integer || (cell.real >= -0x1p63 && cell.real < 0x1p63);
}

Datum texts_of(const Cell &cell)
{
    const size_t count = cell.texts->size();
    Datum *const elements = static_cast<Datum *>(palloc(sizeof(Datum) * (count + 1)));
    for (size_t i = 0; i < count; ++i)
        elements[i] = PointerGetDatum(
            cstring_to_text_with_len((*cell.texts)[i].data(), static_cast<int>((*cell.texts)[i].size())));
    return PointerGetDatum(
        construct_array(elements, static_cast<int>(count), TEXTOID, -1, false, TYPALIGN_INT));
}

Datum integers_of(const Cell &cell, Oid type)
{
    const size_t count = cell.integers->size();
    const bool wide = type == INT8ARRAYOID;
    Datum *const elements = static_cast<Datum *>(palloc(sizeof(Datum) * (count + 1)));
    for (size_t i = 0; i < count; ++i) {
        const int64_t element = (*cell.integers)[i];
        if (!wide && element != static_cast<int32>(element))
            ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("integer out of range")));
        elements[i] = wide ? Int64GetDatum(element) : Int32GetDatum(static_cast<int32>(element));
    }
    return PointerGetDatum(
        wide
            ? construct_array(elements, static_cast<int>(count), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)
            : construct_array(elements, static_cast<int>(count), INT4OID, 4, true, TYPALIGN_INT));
}

Datum through_input(const Cell &cell, Oid type)
{
    Oid input, parameter;
    getTypeInputInfo(type, &input, &parameter);
    return OidInputFunctionCall(input, text_of(cell), parameter, -1);
}

} // namespace

Cell cell_of(const base::Value &value)
{
    Cell cell;
    const auto set_text = [&cell](Cell::Kind kind, const std::string &text) {
        cell.kind = kind;
        cell.text.data = text.data();
        cell.text.size = text.size();
    };
    std::visit(
        Overloaded{
            [](std::monostate) {},
            [&](bool v) { cell.kind = Cell::Kind::boolean, cell.boolean = v; },
            [&](int64_t v) { cell.kind = Cell::Kind::integer, cell.integer = v; },
            [&](double v) { cell.kind = Cell::Kind::real, cell.real = v; },
            [&](const std::string &v) { set_text(Cell::Kind::text, v); },
            [&](base::Interval v) { cell.kind = Cell::Kind::interval, cell.integer = v.microseconds; },
            [&](base::Timestamp v) { cell.kind = Cell::Kind::timestamp, cell.integer = v.microseconds; },
            [&](const base::Json &v) { set_text(Cell::Kind::json, v.text); },
            [&](const base::Value::Texts &v) { cell.kind = Cell::Kind::texts, cell.texts = &v; },
            [&](const base::Value::Integers &v) { cell.kind = Cell::Kind::integers, cell.integers = &v; },
        },
        value.get());
    return cell;
}

Datum datum_of(const Cell &cell, Oid type)
{
    using Kind = Cell::Kind;
    const Kind kind = cell.kind;
    if (kind == Kind::texts && type == TEXTARRAYOID)
        return texts_of(cell);
    if (kind == Kind::integers && (type == INT4ARRAYOID || type == INT8ARRAYOID))
        return integers_of(cell, type);
    const bool whole = kind == Kind::integer;
    const bool number = whole || kind == Kind::real;
    switch (type) {
    case BOOLOID:
        if (kind == Kind::boolean)
            return BoolGetDatum(cell.boolean);
        break;
    case INT4OID:
        if (whole && cell.integer == static_cast<int32>(cell.integer))
            return Int32GetDatum(static_cast<int32>(cell.integer));
        break;
    case INT8OID:
        if (number && fits_bigint(cell))
            return Int64GetDatum(whole ? cell.integer : std::llround(cell.real));
        break;
    case OIDOID:
        if (whole && cell.integer == static_cast<Oid>(cell.integer))
            return ObjectIdGetDatum(static_cast<Oid>(cell.integer));
        break;
    case FLOAT8OID:
        if (number)
            return Float8GetDatum(whole ? static_cast<double>(cell.integer) : cell.real);
        break;
    case NUMERICOID:
        if (number)
            return numeric_of(cell);
        break;
    case TEXTOID:
        if (kind == Kind::text)
            return PointerGetDatum(
                cstring_to_text_with_len(cell.text.data, static_cast<int>(cell.text.size)));
        return PointerGetDatum(cstring_to_text(text_of(cell)));
    case INTERVALOID:
        if (kind == Kind::interval)
            return interval_of(cell.integer);
        break;
    case TIMESTAMPTZOID:
        if (kind == Kind::timestamp)
            return TimestampTzGetDatum(cell.integer);
        break;
    default:
        break;
    }
    return through_input(cell, type);
}

Oid parameter_type(Cell::Kind kind)
{
    using Kind = Cell::Kind;
    switch (kind) {
    case Kind::boolean:
        return BOOLOID;
    case Kind::integer:
        return INT8OID;
    case Kind::real:
        return FLOAT8OID;
    case Kind::interval:
        return INTERVALOID;
    case Kind::timestamp:
        return TIMESTAMPTZOID;
    case Kind::json:
        return JSONBOID;
    case Kind::texts:
        return TEXTARRAYOID;
    case Kind::integers:
        return INT8ARRAYOID;
    case Kind::null:
    case Kind::text:
        break;
    }
    return TEXTOID;
}

} // namespace opsrunbook::pg
