#pragma once
// One pass over pg_class, pg_index, pg_constraint and the cumulative statistics of the current database.

#include "observed/relations.hpp"

namespace opsrunbook::pg {

// Takes AccessShareLock on the catalogs only, never on a user relation, so it waits behind nobody's
// ACCESS EXCLUSIVE.  Cost: linear in the number of relations.  Tables of which neither the catalog nor the
// statistics know anything have the pages of their files, the first 4,000 of them.
observed::Relations read_relations();

// The path of a relation's first file, relative to the data directory; false when it has none.
bool relation_path(const observed::Relation &relation, char *path, size_t room);

// Bytes of a relation's main fork from its files, all segments; 0 when it has none.  No lock.
int64_t relation_file_bytes(const observed::Relation &relation);

// When its first file was created (by CREATE, TRUNCATE, a rewrite or a restore), where the file system knows.
std::optional<base::Timestamp> relation_file_created(const observed::Relation &relation);

// The same as the catalogs have it, and from the file where the statistics say that the table changed since.
int64_t current_bytes(const observed::Table &table);
int64_t current_bytes(const observed::Relations &relations, const observed::Index &index);

// Bytes of the database's relations (main forks): pages as the catalogs have them, and the file itself where
// the statistics say that the relation changed since.  Of more than 10,000 changed relations the most changed
// ones are looked at and the others estimated from a sample of 10,000, within about 1 % of their bytes.
int64_t database_bytes(const observed::Relations &relations);

// Bytes of a table's files with its indexes and TOAST, read now.  No lock; 0 when it is gone.
int64_t table_file_bytes(unsigned table);

} // namespace opsrunbook::pg
