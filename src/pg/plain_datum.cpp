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

PlainDatum plain_of(Datum datum, bool is_null, Oid type)
{
    PlainDatum plain = {};
    if (is_null)
        return plain;
    using Kind = Cell::Kind;
    const auto integer = [&plain](Kind kind, int64_t value) {
        plain.kind = kind;
        plain.integer = value;
    };
    switch (type) {
    case BOOLOID:
        integer(Kind::boolean, DatumGetBool(datum));
        return plain;
    case INT2OID:
        integer(Kind::integer, DatumGetInt16(datum));
        return plain;
    case INT4OID:
        integer(Kind::integer, DatumGetInt32(datum));
        return plain;
    case INT8OID:
        integer(Kind::integer, DatumGetInt64(datum));
        return plain;
    case OIDOID:
    case REGCLASSOID:
        integer(Kind::integer, DatumGetObjectId(datum));
        return plain;
    case FLOAT4OID:
        plain.kind = Kind::real;
        plain.real = static_cast<double>(DatumGetFloat4(datum));
        return plain;
    case FLOAT8OID:
        plain.kind = Kind::real;
        plain.real = DatumGetFloat8(datum);
        return plain;
    case NUMERICOID:
        plain.kind = Kind::real;
        plain.real = DatumGetFloat8(DirectFunctionCall1(numeric_float8, datum));
        return plain;
    case TIMESTAMPTZOID:
        integer(Kind::timestamp, DatumGetTimestampTz(datum));
        return plain;
    case INTERVALOID: {
        const Interval *const interval = DatumGetIntervalP(datum);
        integer(Kind::interval,
                interval->time +
                    (interval->day + static_cast<int64>(interval->month) * DAYS_PER_MONTH) * USECS_PER_DAY);
        return plain;
    }
    case TEXTARRAYOID:
    case NAMEARRAYOID: {
        Datum *elements;
        bool *nulls;
        int count;
        deconstruct_array(DatumGetArrayTypeP(datum), type == TEXTARRAYOID ? TEXTOID : NAMEOID,
                          type == TEXTARRAYOID ? -1 : NAMEDATALEN, false,
                          type == TEXTARRAYOID ? TYPALIGN_INT : TYPALIGN_CHAR, &elements, &nulls, &count);
        size_t size = 1;
        const char **const words =
            static_cast<const char **>(palloc0(sizeof(char *) * (static_cast<size_t>(count) + 1)));
        for (int i = 0; i < count; ++i) {
            words[i] = nulls[i]               ? ""
                       : type == TEXTARRAYOID ? TextDatumGetCString(elements[i])
                                              : NameStr(*DatumGetName(elements[i]));
            size += strlen(words[i]) + 1;
        }
        char *const joined = static_cast<char *>(palloc(size));
        char *at = joined;
        for (int i = 0; i < count; ++i)
            at = stpcpy(at, words[i]) + 1;
        plain.kind = Kind::texts;
        plain.text = joined;
        plain.count = count;
        return plain;
    }
    case INT4ARRAYOID:
    case INT8ARRAYOID: {
        Datum *elements;
        bool *nulls;
        int count;
        const bool wide = type == INT8ARRAYOID;
        deconstruct_array(DatumGetArrayTypeP(datum), wide ? INT8OID : INT4OID, wide ? 8 : 4,
                          !wide || FLOAT8PASSBYVAL != 0, wide ? TYPALIGN_DOUBLE : TYPALIGN_INT, &elements,
                          &nulls, &count);
        int64_t *const numbers =
            static_cast<int64_t *>(palloc(sizeof(int64_t) * (static_cast<size_t>(count) + 1)));
        for (int i = 0; i < count; ++i)
            numbers[i] = nulls[i] ? 0 : wide ? DatumGetInt64(elements[i]) : DatumGetInt32(elements[i]);
        plain.kind = Kind::integers;
        plain.numbers = numbers;
        plain.count = count;
        return plain;
    }
    default: {
        Oid output;
        bool varlena;
        getTypeOutputInfo(type, &output, &varlena);
        plain.kind = type == JSONBOID || type == JSONOID ? Kind::json : Kind::text;
        plain.text = OidOutputFunctionCall(output, datum);
        plain.size = strlen(plain.text);
        return plain;
    }
    }
}

base::Value value_of(const PlainDatum &plain)
{
    using Kind = Cell::Kind;
    switch (plain.kind) {
    case Kind::null:
        break;
    case Kind::boolean:
        return plain.integer != 0;
    case Kind::integer:
        return plain.integer;
    case Kind::real:
        return plain.real;
    case Kind::text:
        return std::string(plain.text, plain.size);
    case Kind::json:
        return base::Json{std::string(plain.text, plain.size)};
    case Kind::interval:
        return base::Interval{plain.integer};
    case Kind::timestamp:
        return base::Timestamp{plain.integer};
    case Kind::texts: {
        base::Value::Texts texts;
        const char *at = plain.text;
        for (int32_t i = 0; i < plain.count; ++i) {
            texts.emplace_back(at);
            at += texts.back().size() + 1;
        }
        return texts;
    }
    case Kind::integers:
        return base::Value::Integers(plain.numbers, plain.numbers + plain.count);
    }
    return {};
}

} // namespace opsrunbook::pg
