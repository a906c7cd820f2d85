#include "pg/notice.hpp"
#include "pg/boundary.hpp"

namespace opsrunbook::pg {

namespace {

void say(int level, const std::string &message, const std::string &hint)
{
    const char *const text = message.c_str();
    const char *const advice = hint.c_str();
    call([level, text, advice] {
        ereport(level, (errmsg("%s", text), advice[0] ? errhint("%s", advice) : 0));
    });
}

} // namespace

void notice(const std::string &message, const std::string &hint)
{
    say(NOTICE, message, hint);
}

void server_log(const std::string &message, const std::string &hint)
{
    say(LOG_SERVER_ONLY, message, hint);
}

void warning(const std::string &message, const std::string &hint)
{
    say(WARNING, message, hint);
}

} // namespace opsrunbook::pg
