#pragma once
// From an OID to a position in a vector.  A flat table with open addressing: built and thrown away in each
// pass over a catalog, where a node for each of hundreds of thousands of relations would cost more than the
// reading.

#include <cstdint>
#include <utility>
#include <vector>

namespace opsrunbook::observed {

using Oid = uint32_t;

class OidMap {
public:
    using Entry = std::pair<Oid, uint32_t>; // OID 0 (no object) marks a free slot and is never found

    const Entry *find(Oid oid) const
    {
        if (count == 0 || oid == 0)
            return nullptr;
        const Entry &slot = slots[slot_of(oid)];
        return slot.first == oid ? &slot : nullptr;
    }
    const Entry *end() const { return nullptr; }
    bool contains(Oid oid) const { return find(oid) != nullptr; }
    size_t size() const { return count; }

    // The value of an OID, 0 when it is new.
    uint32_t &operator[](Oid oid)
    {
        if (slots.size() < 2 * (count + 1))
            reserve(2 * (count + 1));
        Entry &slot = slots[slot_of(oid)];
        if (slot.first != oid) {
            slot = {oid, 0};
            ++count;
        }
        return slot.second;
    }
    void emplace(Oid oid, uint32_t value)
    {
        if (oid != 0)
            (*this)[oid] = value;
    }

    // Room for so many without growing.
    void reserve(size_t entries)
    {
        if (slots.size() >= 2 * entries)
            return;
        size_t room = 16;
        shift = 28;
        for (; room < 2 * entries; room *= 2)
            --shift;
        std::vector<Entry> before(room);
        before.swap(slots);
        for (const Entry &entry : before)
            if (entry.first != 0)
                slots[slot_of(entry.first)] = entry;
    }

private:
    // Fibonacci hashing: OIDs come in dense runs, and two runs may lie a power of two apart.
    size_t slot_of(Oid oid) const
    {
        size_t at = (oid * 2654435769u) >> shift;
        while (slots[at].first != 0 && slots[at].first != oid)
            at = (at + 1) & (slots.size() - 1);
        return at;
    }

    std::vector<Entry> slots; // a power of two of them, at least half of them free
    size_t count = 0;
    unsigned shift = 28;
};

} // namespace opsrunbook::observed
