#include "health/alerting/payload.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

constexpr size_t limit =
    8000; // NOTIFY_PAYLOAD_MAX_LENGTH: BLCKSZ - NAMEDATALEN - 128 with the usual page size

std::string built(const Announcement &announcement, size_t text_limit, bool with_fix)
{
    const AlertState &state = announcement.state;
    const std::optional<SeenAlert> &seen = announcement.seen;
    base::JsonObject json;
    json.add("event", event_text(announcement.event))
        .add("check", base::one_line(state.check, text_limit))
        .add("severity", status_text(state.severity));
    if (state.object.empty())
        json.raw("object", "null");
    else
        json.add("object", base::one_line(state.object, text_limit));
    json.add("message", base::one_line(state.message, text_limit))
        .add("value", seen ? seen->value : std::nullopt)
        .add("threshold", seen ? seen->threshold : std::nullopt)
        .add("since", state.since);
    if (seen && !seen->fix.empty() && with_fix)
        json.add("fix", seen->fix);
    else
        json.raw("fix", "null");
    return json.text();
}

} // namespace

std::string alert_payload(const Announcement &announcement)
{
    std::string payload = built(announcement, 2000, true);
    bool with_fix = true;
    for (size_t text_limit = 2000; payload.size() >= limit && text_limit > 10; text_limit /= 2) {
        if (text_limit <= 500)
            with_fix = false;
        payload = built(announcement, text_limit, with_fix);
    }
    return payload;
}

} // namespace opsrunbook::health
