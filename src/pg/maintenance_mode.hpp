#pragma once
// What maintenance mode needs of the server beyond SQL.

namespace opsrunbook::pg {

// From _PG_init, before the prefix opsrunbook is reserved: the setting opsrunbook.maintenance_reason, which
// ALTER DATABASE gives to every new session, and a hook that adds it as the hint to "cannot execute ... in a
// read-only transaction".
void define_maintenance_reason();

// Until the transaction ends, nobody's connection to this database gets past its start: it waits, and then
// sees the settings that this transaction made.  Connections already open are not touched.
void hold_new_connections();

// Lets the body write although the session's default is read-only, as it is for who connects during the
// maintenance mode that is to be ended.  A transaction that the user himself made read-only stays so.
class DespiteReadOnlyDefault {
public:
    DespiteReadOnlyDefault();
    void end(); // success path; an error ends the transaction, and the next starts from the default

private:
    bool before;
};

} // namespace opsrunbook::pg
