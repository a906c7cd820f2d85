#include "pg/catalog/relations.hpp"
#include "pg/boundary.hpp"
#include "pg/database.hpp"
#include "pg/compat.hpp"

#include <algorithm>
#include <cmath>

#include <fcntl.h>
#include <sys/stat.h>

extern "C" {
#include "catalog/pg_class.h"
#include "catalog/pg_tablespace.h"
}

namespace opsrunbook::pg {

namespace {

using namespace observed;

// A stat() costs about a microsecond, so this many are looked at one by one, and as many again by sample.
constexpr size_t files_looked_at = 4000;

struct Changed {
    const observed::Relation *relation;
    int64_t changes; // of its table, since the catalogs were brought up to date
};

// Rows changed since relpages was written; nothing: relpages is true.
int64_t changes_of(const Table &table)
{
    const TableCounters &counters = table.counters;
    const int64_t changes = std::max(counters.modified_since_analyze, counters.inserted_since_vacuum);
    return changes == 0 && table.relation.rows < 0 ? 1 : changes;
}

// Which of the less changed relations stand for the others: by their OIDs, but in no pattern that a schema
// may have.
bool in_sample(Oid oid, double share)
{
    return oid * 2654435769u < share * 4294967296.0;
}

int64_t changed_bytes(std::vector<Changed> &changed)
{
    const size_t most = std::min(changed.size(), files_looked_at);
    std::nth_element(changed.begin(), changed.begin() + static_cast<ptrdiff_t>(most), changed.end(),
                     [](const Changed &a, const Changed &b) { return a.changes > b.changes; });
    int64_t bytes = 0;
    for (size_t i = 0; i < most; ++i)
        bytes += relation_file_bytes(*changed[i].relation);

    const size_t others = changed.size() - most;
    const double share =
        std::min(1.0, static_cast<double>(files_looked_at) / static_cast<double>(others + 1));
    int64_t sample_bytes = 0;
    size_t sample = 0;
    for (size_t i = most; i < changed.size(); ++i)
        if (in_sample(changed[i].relation->oid, share)) {
            sample_bytes += relation_file_bytes(*changed[i].relation);
            ++sample;
        }
    if (sample > 0)
        bytes += std::llround(static_cast<double>(sample_bytes) / static_cast<double>(sample) *
                              static_cast<double>(others));
    return bytes;
}

} // namespace

bool relation_path(const observed::Relation &relation, char *path, size_t room)
{
    if (relation.filenode == 0)
        return false;
    call([&relation, path, room] {
        const Oid tablespace = relation.tablespace != 0 ? relation.tablespace : MyDatabaseTableSpace;
        compat::relation_path(path, room, tablespace == GLOBALTABLESPACE_OID ? InvalidOid : MyDatabaseId,
                              tablespace, relation.filenode);
    });
    return true;
}

int64_t relation_file_bytes(const observed::Relation &relation)
{
    char path[MAXPGPATH];
    if (!relation_path(relation, path, sizeof path))
        return 0;
    int64_t bytes = 0;
    struct stat file;
    for (int segment = 0;; ++segment) {
        char name[MAXPGPATH + 16];
        if (segment == 0)
            strlcpy(name, path, sizeof name);
        else
            snprintf(name, sizeof name, "%s.%d", path, segment);
        if (stat(name, &file) != 0)
            return bytes;
        bytes += file.st_size;
        if (file.st_size < static_cast<int64_t>(RELSEG_SIZE) * BLCKSZ)
            return bytes;
    }
}

std::optional<base::Timestamp> relation_file_created(const observed::Relation &relation)
{
    char path[MAXPGPATH];
    struct statx file;
    if (!relation_path(relation, path, sizeof path) || statx(AT_FDCWD, path, 0, STATX_BTIME, &file) != 0 ||
        (file.stx_mask & STATX_BTIME) == 0)
        return std::nullopt;
    const int64_t epoch =
        static_cast<int64_t>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY; // 2000 from 1970
    return base::Timestamp{(static_cast<int64_t>(file.stx_btime.tv_sec) - epoch) * 1000000 +
                           file.stx_btime.tv_nsec / 1000};
}

int64_t current_bytes(const Table &table)
{
    return changes_of(table) > 0 ? relation_file_bytes(table.relation)
                                 : static_cast<int64_t>(table.relation.pages) * BLCKSZ;
}

int64_t current_bytes(const Relations &relations, const observed::Index &index)
{
    const Table *table = relations.table(index);
    return table != nullptr && changes_of(*table) > 0 ? relation_file_bytes(index.relation)
                                                      : static_cast<int64_t>(index.relation.pages) * BLCKSZ;
}

int64_t database_bytes(const Relations &relations)
{
    int64_t pages = 0;
    std::vector<Changed> changed;
    const auto add = [&](const observed::Relation &relation, int64_t changes) {
        if (changes == 0 ||
            relation.persistence == RELPERSISTENCE_TEMP) // a temporary table's file has a name of its session
            pages += relation.pages;
        else
            changed.push_back({&relation, changes});
    };
    for (const Table &table : relations.tables)
        add(table.relation, changes_of(table));
    for (const observed::Index &index : relations.indexes) {
        const Table *table = relations.table(index);
        add(index.relation, table != nullptr ? changes_of(*table) : 0);
    }
    return pages * BLCKSZ + changed_bytes(changed);
}

int64_t table_file_bytes(unsigned table)
{
    const Result parts = query(
        "WITH heaps AS (SELECT c.oid FROM pg_class t JOIN pg_class c ON c.oid IN (t.oid, t.reltoastrelid)"
        " WHERE t.oid = $1::oid)"
        " SELECT c.relfilenode, c.reltablespace FROM pg_class c WHERE c.oid IN (SELECT oid FROM heaps)"
        " OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM heaps))",
        {static_cast<int64_t>(table)});
    int64_t bytes = 0;
    for (size_t r = 0; r < parts.size(); ++r) {
        observed::Relation part = {};
        part.filenode = static_cast<Oid>(parts.at(r, "relfilenode").integer());
        part.tablespace = static_cast<Oid>(parts.at(r, "reltablespace").integer());
        bytes += relation_file_bytes(part);
    }
    return bytes;
}

} // namespace opsrunbook::pg
