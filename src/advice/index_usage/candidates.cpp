#include "advice/index_usage/candidates.hpp"

#include "advice/index_usage/verdicts.hpp"
#include "advice/indexes/identity.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::advice {

namespace {

using observed::Index;

struct Whole {
    int64_t bytes = 0;
    bool scanned = false;
};

} // namespace

UnusedCandidates unused_candidates(const observed::Relations &relations, const observed::OidMap &parents,
                                   base::Timestamp now, int64_t least_bytes,
                                   const std::function<int64_t(const Index &)> &bytes_of)
{
    const auto in_question = [&relations](const Index &index) {
        if (!user_index(relations, index))
            return false;
        const observed::Table *table = relations.table(index);
        return index.relation.kind == 'I' || (table && table->relation.kind != 't');
    };
    std::unordered_map<observed::Oid, Whole> wholes;
    if (parents.size() > 0)
        for (const Index &index : relations.indexes) {
            if (index.relation.kind == 'I' || !parents.contains(index.relation.oid))
                continue;
            Whole &whole = wholes[root_of(parents, index.relation.oid)];
            whole.scanned = whole.scanned || scanned_lately(index, now);
            if (!whole.scanned)
                whole.bytes += bytes_of(index);
        }
    UnusedCandidates found;
    for (const Index &index : relations.indexes) {
        if (!in_question(index))
            continue;
        const observed::Oid root = root_of(parents, index.relation.oid);
        const auto whole = wholes.find(root);
        if (whole != wholes.end()) {
            if (whole->second.scanned || whole->second.bytes < least_bytes)
                continue;
            found.bytes[root] = whole->second.bytes;
        }
        else {
            if (index.relation.kind == 'I' || scanned_lately(index, now))
                continue;
            const int64_t bytes = bytes_of(index);
            if (bytes < least_bytes)
                continue;
            found.bytes[root] = bytes;
        }
        found.indexes.push_back(&index);
    }
    return found;
}

} // namespace opsrunbook::advice
