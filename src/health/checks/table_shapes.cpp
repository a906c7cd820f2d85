// Tables whose shape loses data, stops replication or holds back freezing.
#include "health/checks/storage_checks.hpp"

#include <algorithm>

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::count_text;
using base::format;
using observed::Index;
using observed::Oid;
using observed::Relation;
using observed::Table;

template <class Body> void each_plain_table(const Observations &seen, Body body)
{
    for (const Table &table : seen.relations.tables)
        if (table.relation.kind == 'r' && table.relation.persistence != 't' &&
            seen.relations.user_owned(table.relation))
            body(table);
}

bool has_index(const observed::Relations &relations, const Table &table, bool (*fits)(const Index &))
{
    for (uint32_t place = table.last_index; place != 0; place = relations.indexes[place - 1].before)
        if (fits(relations.indexes[place - 1]))
            return true;
    return false;
}

// The server takes neither an invalid nor a deferrable index for an identity.
bool usable_identity(const observed::Relations &relations, const Table &table)
{
    switch (table.relation.replica_identity) {
    case 'f':
        return true;
    case 'd':
        return has_index(relations, table,
                         [](const Index &index) { return index.primary && index.valid && index.immediate; });
    case 'i':
        return has_index(relations, table,
                         [](const Index &index) { return index.replica_identity && index.valid; });
    default:
        return false;
    }
}

// The partitioned table that a partition belongs to.
class ParentOf {
public:
    explicit ParentOf(const observed::Relations &relations_) : relations(relations_)
    {
        for (uint32_t i = 0; i < relations.others.size(); ++i)
            if (relations.others[i].kind == 'p')
                partitioned.emplace(relations.others[i].oid, i);
    }
    const Relation *operator()(const Relation &partition) const
    {
        const auto found = partitioned.find(partition.parent);
        return partition.parent != 0 && found ? &relations.others[found->second] : nullptr;
    }

private:
    const observed::Relations &relations;
    observed::OidMap partitioned;
};

int64_t rows_of(const Table &table)
{
    return std::max(static_cast<int64_t>(table.relation.rows), table.counters.live_rows);
}

} // namespace

// A table that is only written to and read, as a log, needs no key; one whose rows are changed one by one
// does.
void tables_without_primary_key(const Observations &seen, Judge &judge)
{
    int64_t logs = 0;
    each_plain_table(seen, [&](const Table &table) {
        if (has_index(seen.relations, table, [](const Index &index) {
                return index.unique && index.valid && index.predicate_hash == 0;
            }))
            return;
        const int64_t changed = table.counters.updated + table.counters.deleted;
        if (changed == 0) {
            ++logs;
            return;
        }
        const std::string name = seen.relations.name(table.relation);
        Finding *finding = judge.measure(
            static_cast<double>(changed), name,
            format(
                "%s has neither a primary key nor a unique index, and %s of its rows were updated or deleted",
                name.c_str(), count_text(changed).c_str()));
        if (!finding) {
            ++logs;
            return;
        }
        finding->evidence.add("updated", table.counters.updated).add("deleted", table.counters.deleted);
        finding->cause =
            "no key -> a row cannot be named, so duplicates stay and logical replication has to compare "
            "whole rows";
        finding->fix =
            format("ALTER TABLE %s ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;",
                   name.c_str());
        finding->undo = format("ALTER TABLE %s DROP COLUMN row_id;", name.c_str());
    });
    judge.fine(logs == 0 ? "every table has a key"
                         : format("%s without a key, whose rows nobody changes",
                                  base::plural(logs, "table").c_str()));
}

void unlogged_tables(const Observations &seen, Judge &judge)
{
    each_plain_table(seen, [&](const Table &table) {
        if (table.relation.persistence != 'u')
            return;
        const std::string name = seen.relations.name(table.relation);
        const int64_t rows = rows_of(table);
        Finding *finding = judge.measure(
            static_cast<double>(rows), name,
            format("%s is UNLOGGED: a crash empties it, and no standby or backup of the server has its %s",
                   name.c_str(), base::plural(rows, "row").c_str()));
        if (!finding)
            return;
        finding->fix = format("ALTER TABLE %s SET LOGGED;", name.c_str());
        finding->undo = format("ALTER TABLE %s SET UNLOGGED;", name.c_str());
    });
    judge.fine("no unlogged table has rows");
}

void replica_identity(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "table shapes"))
        return;
    if (seen.shapes.publications.empty())
        return judge.fine("nothing is published");
    const ParentOf parent_of(seen.relations);
    // A partition is published with any of its parents.
    const auto published_in = [&](const Relation &relation) -> const observed::Publication * {
        for (const observed::Publication &publication : seen.shapes.publications) {
            if (publication.all_tables)
                return &publication;
            for (const Relation *one = &relation; one; one = parent_of(*one))
                if (publication.tables.contains(one->oid) || publication.schemas.contains(one->schema))
                    return &publication;
        }
        return nullptr;
    };
    each_plain_table(seen, [&](const Table &table) {
        const Relation &relation = table.relation;
        if (relation.persistence != 'p' || usable_identity(seen.relations, table))
            return;
        const observed::Schema *schema = seen.relations.schema(relation.schema);
        if (schema && schema->name == "opsrunbook")
            return;
        const observed::Publication *publication = published_in(relation);
        if (!publication)
            return;
        const std::string name = seen.relations.name(relation);
        Finding &finding = judge.found(
            Status::warning, name,
            format("%s is published by %s but has no usable replica identity: UPDATE and DELETE on it fail",
                   name.c_str(), base::quote_identifier(publication->name).c_str()));
        finding.evidence.add("publication", publication->name)
            .add("replica_identity", std::string(1, relation.replica_identity));
        finding.fix = format("ALTER TABLE %s REPLICA IDENTITY FULL;", name.c_str());
        finding.undo = format("ALTER TABLE %s REPLICA IDENTITY %s;", name.c_str(),
                              relation.replica_identity == 'n' ? "NOTHING" : "DEFAULT");
    });
    judge.fine("every published table has a usable replica identity");
}

void not_valid_constraints(const Observations &seen, Judge &judge)
{
    const observed::Relations &relations = seen.relations;
    observed::OidMap others;
    for (uint32_t i = 0; i < relations.others.size(); ++i)
        others.emplace(relations.others[i].oid, i);
    for (const observed::Constraint &constraint : relations.constraints) {
        if (constraint.validated || !constraint.enforced || constraint.inherited)
            continue;
        const Table *table = relations.table(constraint.table);
        const auto other = others.find(constraint.table);
        const Relation *relation = table   ? &table->relation
                                   : other ? &relations.others[other->second]
                                           : nullptr;
        if (!relation || relation->kind == 'f' || relation->persistence == 't' ||
            !relations.user_owned(*relation))
            continue;
        const std::string name = relations.name(*relation), own = base::quote_identifier(constraint.name);
        Finding &finding = judge.found(
            Status::warning, name,
            format("constraint %s of %s is NOT VALID: rows from before it may break it, and the planner "
                   "does not rely on it",
                   own.c_str(), name.c_str()));
        finding.evidence.add("constraint", constraint.name).add("kind", std::string(1, constraint.kind));
        finding.fix = format("ALTER TABLE %s VALIDATE CONSTRAINT %s;", name.c_str(), own.c_str());
    }
    judge.fine("every enforced constraint is valid");
}

void default_partition(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "table shapes"))
        return;
    for (const Oid oid : seen.shapes.default_partitions) {
        const Table *table = seen.relations.table(oid);
        if (!table || !seen.relations.user_owned(table->relation))
            continue;
        const int64_t rows = rows_of(*table);
        const std::string name = seen.relations.name(table->relation);
        Finding *finding =
            judge.measure(static_cast<double>(rows), name,
                          format("default partition %s has %s: no partition was there for them", name.c_str(),
                                 base::plural(rows, "row").c_str()));
        if (!finding)
            continue;
        finding->cause =
            "rows beyond the last partition -> the default one -> a partition made for them later has to "
            "scan it under ACCESS EXCLUSIVE, and fails";
        finding->evidence.add("inserted", table->counters.inserted);
        finding->fix =
            format("-- in one transaction: ALTER TABLE … DETACH PARTITION %s; CREATE TABLE … PARTITION OF …; "
                   "move its rows with INSERT … SELECT; ATTACH it again as DEFAULT",
                   name.c_str());
    }
    judge.fine("no default partition fills up");
}

void orphan_temp_tables(const Observations &seen, Judge &judge)
{
    for (const Table &table : seen.relations.tables) {
        const Relation &relation = table.relation;
        const observed::Schema *schema = seen.relations.schema(relation.schema);
        if (relation.persistence != 't' || relation.kind == 't' || !schema || !schema->abandoned)
            continue;
        const std::string name = seen.relations.name(relation);
        Finding *finding = judge.measure(
            relation.xid_age, name,
            format("temporary table %s lost its session, and nothing freezes it: it is %s transactions old",
                   name.c_str(), count_text(relation.xid_age).c_str()));
        if (!finding)
            continue;
        finding->cause =
            "a crash left a temporary table -> VACUUM of other sessions cannot freeze it -> the age of the "
            "whole database grows";
        finding->fix = format("DROP TABLE %s;", name.c_str());
    }
    judge.fine("no temporary table has lost its session");
}

} // namespace opsrunbook::health
