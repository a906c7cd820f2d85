#pragma once
// What declared standbys use.
//
// A standby counts its own scans and can write nothing, so its counts are carried to the primary:
// export_index_usage() there, import_index_usage() here.  An index that a declared standby used lately is not
// hidden, nor dropped; and none is dropped before each declared standby's counts from after the trial are
// here.  A declared standby that observations of the alerts have seen streaming from here is expected to go
// on; one that never did (behind another standby, or under another name) is not.

#include <string>
#include <vector>

#include "observed/server.hpp"
#include "pg/arguments.hpp"

namespace opsrunbook::advice {

base::Value declare_standby(const pg::Arguments &arguments);    // (name): whether it is new
base::Value forget_standby(const pg::Arguments &arguments);     // (name): whether there was one
base::Value export_index_usage(const pg::Arguments &);          // jsonb
base::Value import_index_usage(const pg::Arguments &arguments); // (standby, jsonb): indexes that it has used

// The declared standbys that have streamed from here.
std::vector<observed::DeclaredStandby> declared_standbys(bool in_recovery);
// Writes which of the declared ones do.  To be called as the owner of the house.
void remember_streaming(const std::vector<observed::Standby> &standbys);

// "replica (last on 2026-11-20 22:00:00+00)", or empty.
std::string use_on_standbys(const std::string &schema, const std::string &index);

// The declared standbys without counts from that moment or later, or empty.
std::string standbys_silent_since(const base::Value &moment);

} // namespace opsrunbook::advice
