#pragma once
// A word to the caller beside the result.

#include <string>

namespace opsrunbook::pg {

void notice(const std::string &message, const std::string &hint = {});
void server_log(const std::string &message, const std::string &hint = {}); // level LOG, not to the client
void warning(const std::string &message, const std::string &hint = {});

} // namespace opsrunbook::pg
