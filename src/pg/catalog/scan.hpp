#pragma once
// Reading a whole catalog in batches, each of which is one crossing of the boundary.  For files of src/pg
// only.

#include "pg/boundary.hpp"

#include <span>

extern "C" {
#include "utils/snapmgr.h"
}

namespace opsrunbook::pg {

// One snapshot for several scans, so that what one of them finds the others know too.
class CatalogSnapshot {
public:
    CatalogSnapshot()
    {
        call([this] { snapshot = RegisterSnapshot(GetLatestSnapshot()); });
    }
    void end() // success path; after an error, the resource owner lets go of it
    {
        call([this] { UnregisterSnapshot(snapshot); });
    }
    Snapshot get() const { return snapshot; }

private:
    Snapshot snapshot = nullptr;
};

// A sequential scan with AccessShareLock on the catalog.
class CatalogScan {
public:
    CatalogScan(Oid catalog, const CatalogSnapshot &snapshot)
    {
        call([this, catalog, &snapshot] {
            relation = table_open(catalog, AccessShareLock);
            scan = systable_beginscan(relation, InvalidOid, false, snapshot.get(), 0, nullptr);
        });
    }
    // Fills `out` by `read(tuple, descriptor, record)`, which says whether the record counts.  Server regime
    // inside.
    template <class Record, class Read> size_t next(std::span<Record> out, Read &read)
    {
        return call([&] {
            size_t filled = 0;
            while (filled < out.size()) {
                HeapTuple const tuple = systable_getnext(scan);
                if (!HeapTupleIsValid(tuple)) {
                    finished = true;
                    break;
                }
                if (read(tuple, RelationGetDescr(relation), out[filled]))
                    ++filled;
            }
            CHECK_FOR_INTERRUPTS();
            return filled;
        });
    }
    bool done() const { return finished; }
    void end()
    {
        call([this] {
            systable_endscan(scan);
            table_close(relation, AccessShareLock);
        });
    }

private:
    ::Relation relation = nullptr;
    SysScanDesc scan = nullptr;
    bool finished = false;
};

// Rows of a catalog by its own entry in pg_class; 0 when it has never been vacuumed or analyzed.
inline size_t expected_rows(Oid catalog)
{
    const float rows = call([catalog] {
        ::Relation const relation = table_open(catalog, AccessShareLock);
        const float found = relation->rd_rel->reltuples;
        table_close(relation, AccessShareLock);
        return found;
    });
    return rows > 0 ? static_cast<size_t>(rows) : 0;
}

// Reads a whole catalog: each batch of records is handed to `take` (C++ regime).
template <class Record, class Read, class Take>
void scan_catalog(Oid catalog, const CatalogSnapshot &snapshot, Read read, Take take)
{
    constexpr size_t batch = 256;
    std::vector<Record> records(batch);
    CatalogScan scan(catalog, snapshot);
    while (!scan.done()) {
        const size_t filled = scan.next(std::span<Record>(records), read);
        for (size_t i = 0; i < filled; ++i)
            take(records[i]);
    }
    scan.end();
}

} // namespace opsrunbook::pg
