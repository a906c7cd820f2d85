// Locks: each sequence is locked AccessShareLock conditionally and for the moment of the read, so that its
// file can be neither dropped nor swapped while its page is read.  Its file number comes from the pass over
// pg_class; it is looked up again only if any catalog changed since (taking the lock takes in all
// invalidations).  The page is read without a relation descriptor: 100,000 of them would stay in the
// session's cache for ever.
#include "pg/catalog/sequences.hpp"
#include "pg/boundary.hpp"
#include "pg/catalog/counters.hpp"
#include "pg/compat.hpp"
#include "pg/database.hpp"
#include "pg/role.hpp"

#include <algorithm>
#include <span>
#include <unordered_map>

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "commands/sequence.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/syscache.h"
}

namespace opsrunbook::pg {

namespace {

using namespace observed;

constexpr size_t batch = 512;

struct Definition {
    Oid oid;
    int64_t start, minimum, maximum, increment;
    bool cycles;
};

enum class Read : uint8_t { no, yes, locked, gone };

struct State {
    const observed::Relation *relation;
    Read read;
    int64_t last_value;
};

// Server regime.  False: the sequence is not there any more.
bool look_up_again(Oid oid, Oid &tablespace, Oid &filenode)
{
    HeapTuple const tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(tuple))
        return false;
    const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    tablespace = form->reltablespace;
    filenode = form->relfilenode;
    ReleaseSysCache(tuple);
    return true;
}

// Server regime.
int64_t read_page(Oid tablespace, Oid filenode, bool permanent, BufferAccessStrategy ring)
{
    Buffer const buffer = compat::read_first_block(tablespace != 0 ? tablespace : MyDatabaseTableSpace,
                                                   filenode, permanent, ring);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    Page const page = BufferGetPage(buffer);
    if (PageIsNew(page) || PageGetMaxOffsetNumber(page) < FirstOffsetNumber)
        elog(ERROR, "file %u holds no sequence", filenode);
    const HeapTupleHeader header = reinterpret_cast<HeapTupleHeader>(
        PageGetItem(page, PageGetItemId(page, static_cast<OffsetNumber>(FirstOffsetNumber))));
    const int64_t last_value =
        reinterpret_cast<Form_pg_sequence_data>(reinterpret_cast<char *>(header) + header->t_hoff)
            ->last_value;
    UnlockReleaseBuffer(buffer);
    return last_value;
}

// Server regime.
void read_states(std::span<State> states, uint64_t invalidations)
{
    BufferAccessStrategy const ring = GetAccessStrategy(BAS_BULKREAD);
    for (State &state : states) {
        const observed::Relation &relation = *state.relation;
        Oid tablespace = relation.tablespace, filenode = relation.filenode;
        if (!ConditionalLockRelationOid(relation.oid, AccessShareLock)) {
            state.read = Read::locked;
            continue;
        }
        if (SharedInvalidMessageCounter != invalidations &&
            !look_up_again(relation.oid, tablespace, filenode))
            state.read = Read::gone;
        else {
            state.last_value = read_page(tablespace, filenode, relation.persistence == 'p', ring);
            state.read = Read::yes;
        }
        UnlockRelationOid(relation.oid, AccessShareLock);
    }
    FreeAccessStrategy(ring);
    CHECK_FOR_INTERRUPTS();
}

std::vector<Definition> read_definitions(size_t expected)
{
    std::vector<Definition> definitions(expected);
    Definition *const out = definitions.data();
    const size_t filled = call([out, expected] {
        ::Relation const catalog = table_open(SequenceRelationId, AccessShareLock);
        SysScanDesc const scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
        size_t count = 0;
        HeapTuple tuple;
        while (count < expected && HeapTupleIsValid(tuple = systable_getnext(scan))) {
            const Form_pg_sequence form = reinterpret_cast<Form_pg_sequence>(GETSTRUCT(tuple));
            out[count++] = {form->seqrelid, form->seqstart,     form->seqmin,
                            form->seqmax,   form->seqincrement, form->seqcycle};
        }
        systable_endscan(scan);
        table_close(catalog, AccessShareLock);
        return count;
    });
    definitions.resize(filled);
    return definitions;
}

// Which column takes the values: the owner's, or one whose default calls nextval().  Of several, the
// narrowest. Asked only for sequences that could have passed half of the narrowest type's range.
void read_columns(std::vector<Sequence> &sequences, const std::vector<uint32_t> &oids)
{
    constexpr int64_t half_of_smallint = 16383;
    base::Value::Integers asked;
    std::unordered_map<uint32_t, Sequence *> by_oid;
    for (size_t i = 0; i < sequences.size(); ++i)
        if (sequences[i].last_value > half_of_smallint || sequences[i].last_value < -half_of_smallint) {
            asked.push_back(oids[i]);
            by_oid.emplace(oids[i], &sequences[i]);
        }
    if (asked.empty())
        return;
    const Result rows = query(
        "WITH asked AS MATERIALIZED (SELECT unnest($1)::oid AS sequence),"
        " used AS (SELECT a.sequence, d.refobjid AS relid, d.refobjsubid::int2 AS attnum FROM asked a"
        " JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = a.sequence"
        " AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0"
        " UNION SELECT a.sequence, f.adrelid, f.adnum FROM asked a"
        " JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.sequence"
        " AND d.classid = 'pg_attrdef'::regclass JOIN pg_attrdef f ON f.oid = d.objid)"
        " SELECT DISTINCT ON (u.sequence) u.sequence, format('%I.%I', n.nspname, c.relname) AS tab,"
        " quote_ident(t.attname) AS col, format_type(t.atttypid, NULL) AS type"
        " FROM used u JOIN pg_attribute t ON t.attrelid = u.relid AND t.attnum = u.attnum"
        " JOIN pg_class c ON c.oid = u.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE t.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND NOT c.relispartition"
        " ORDER BY u.sequence, t.attlen, u.relid, u.attnum",
        {asked});
    for (size_t r = 0; r < rows.size(); ++r) {
        Sequence &sequence = *by_oid.at(static_cast<uint32_t>(rows.at(r, "sequence").integer()));
        sequence.table = rows.at(r, "tab").text();
        sequence.column = rows.at(r, "col").text();
        sequence.column_type = rows.at(r, "type").text();
    }
}

// An open file and a page each: with 100,000 sequences that would take longer than all else.
void keep_most_used(std::vector<State> &states, size_t most)
{
    if (states.size() <= most)
        return;
    std::vector<RelationUse> uses;
    uses.reserve(states.size());
    for (const State &state : states)
        uses.push_back({*state.relation});
    read_relation_uses(uses);
    std::vector<uint32_t> order(states.size());
    for (uint32_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(most), order.end(),
                     [&uses](uint32_t a, uint32_t b) {
                         return uses[a].blocks != uses[b].blocks ? uses[a].blocks > uses[b].blocks : a < b;
                     });
    std::vector<State> kept;
    kept.reserve(most);
    for (size_t i = 0; i < most; ++i)
        kept.push_back(states[order[i]]);
    states.swap(kept);
}

std::vector<Sequence> sequences_of(const Relations &relations, std::vector<std::string> &locked, size_t most)
{
    std::vector<State> states;
    const bool standby = in_recovery(); // where unlogged relations have no file
    for (const observed::Relation &relation : relations.others)
        if (relation.kind == 'S' && relation.persistence != 't' && !(standby && relation.persistence == 'u'))
            states.push_back({&relation, Read::no, 0});
    keep_most_used(states, most);
    OidMap by_oid;
    by_oid.reserve(states.size());
    for (uint32_t i = 0; i < states.size(); ++i)
        by_oid.emplace(states[i].relation->oid, i);
    const std::vector<Definition> definitions = read_definitions(relations.others.size());
    for (size_t from = 0; from < states.size(); from += batch) {
        const std::span<State> chunk(states.data() + from, std::min(batch, states.size() - from));
        call([&chunk, &relations] { read_states(chunk, relations.invalidations); });
    }
    std::vector<Sequence> sequences;
    std::vector<uint32_t> oids;
    for (const Definition &definition : definitions) {
        const auto found = by_oid.find(definition.oid);
        if (!found)
            continue;
        const State &state = states[found->second];
        if (state.read == Read::locked)
            locked.push_back(relations.name(*state.relation));
        if (state.read != Read::yes)
            continue;
        Sequence sequence;
        sequence.name = relations.name(*state.relation);
        sequence.last_value = state.last_value;
        sequence.start = definition.start;
        sequence.minimum = definition.minimum;
        sequence.maximum = definition.maximum;
        sequence.increment = definition.increment;
        sequence.cycles = definition.cycles;
        sequences.push_back(std::move(sequence));
        oids.push_back(definition.oid);
    }
    read_columns(sequences, oids);
    return sequences;
}

} // namespace

void read_sequences(Server &server, Shapes &shapes, const Relations &relations, size_t most)
{
    if (const auto error =
            attempt([&] { server.sequences = sequences_of(relations, shapes.locked_sequences, most); }))
        server.unseen["sequences"] = error->message;
}

} // namespace opsrunbook::pg
