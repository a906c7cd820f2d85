#include "maintenance/retention/standing.hpp"

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::maintenance {

std::string reason_against(const Standing &standing)
{
    if (!standing.exists)
        return standing.name_now.empty() ? "the table does not exist any more"
                                         : "the table is called " + standing.name_now + " now";
    if (!standing.same_relation)
        return "it was set on another table, which had this name then";
    if (!standing.same_other)
        return "the other table that it names was another one then";
    if (standing.setter.empty())
        return "the role that set it does not exist any more";
    if (!standing.setter_has_rights)
        return base::format("role %s set it, without the rights of %s, who owns the table now",
                            base::quote_identifier(standing.setter).c_str(),
                            base::quote_identifier(standing.owner).c_str());
    return "";
}

} // namespace opsrunbook::maintenance
