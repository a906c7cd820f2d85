#pragma once
// Values to Datums and back.  For files of src/pg only.

#include "pg/boundary.hpp"

#include "base/value.hpp"

namespace opsrunbook::pg {

// A value's plain image, valid while the value lives; what a server-regime lambda may see of it.
struct Cell {
    enum class Kind : uint8_t {
        null,
        boolean,
        integer,
        real,
        text,
        interval,
        timestamp,
        json,
        texts,
        integers
    };
    Kind kind = Kind::null;
    union {
        bool boolean;
        int64_t integer; // also interval and timestamp: microseconds
        double real;
        struct {
            const char *data;
            size_t size;
        } text; // also json
        const base::Value::Texts *texts;
        const base::Value::Integers *integers;
    };
    Cell() : integer(0) {}
};

Cell cell_of(const base::Value &value);

// Server regime: a Datum of the given type in the current memory context.  Null cells are the caller's.
Datum datum_of(const Cell &cell, Oid type);

// Server regime: the plain image of a Datum; texts are palloc'd in the current memory context.
struct PlainDatum {
    Cell::Kind kind;
    int64_t integer;
    double real;
    const char *text;
    size_t size;
    int32_t count; // texts: `text` holds `count` strings, each ended by a zero byte; integers: `numbers`
    const int64_t *numbers;
};
PlainDatum plain_of(Datum datum, bool is_null, Oid type);
base::Value value_of(const PlainDatum &plain);

Oid parameter_type(Cell::Kind kind); // the SQL type that a value has as a query's parameter

} // namespace opsrunbook::pg
