#include "pg/signal.hpp"
#include "pg/pause.hpp"

#include <algorithm>
#include <cmath>

#include "pg/boundary.hpp"
#include "pg/database.hpp"

namespace opsrunbook::pg {

namespace {

// On a, a row of pg_stat_activity: $1 process id, $2 start of the session, $3 Target::since.
const char *condition(Target::Same same)
{
    switch (same) {
    case Target::Same::statement:
        return "a.pid = $1 AND a.backend_start = $2 AND a.query_start = $3"
               " AND a.state IN ('active', 'fastpath function call')";
    case Target::Same::idle_spell:
        return "a.pid = $1 AND a.backend_start = $2 AND a.state_change = $3 AND a.state LIKE 'idle%'";
    case Target::Same::session:
        break;
    }
    return "a.pid = $1 AND a.backend_start = $2 AND $3 IS NOT NULL";
}

// The server keeps the first picture of its sessions that a transaction took; each look is to be of now.
Result look(const std::string &what, const Target &target, Target::Same same)
{
    query("SELECT pg_stat_clear_snapshot()");
    return query("SELECT " + what + " FROM pg_stat_activity a WHERE " + condition(same),
                 {target.pid, target.backend_start, target.since});
}

} // namespace

void send(std::vector<Target> &targets, Signal signal, Target::Same same)
{
    const char *const call_it =
        signal == Signal::cancel ? "pg_cancel_backend(a.pid)" : "pg_terminate_backend(a.pid)";
    for (Target &target : targets) {
        target.sent = false;
        const auto error = attempt([&] {
            const Result sent = look(call_it, target, same);
            target.sent = !sent.empty() && sent.at(0, size_t{0}).boolean();
        });
        if (error)
            target.refusal = error->message;
        check_interrupts();
    }
}

std::vector<bool> wait_for(const std::vector<Target> &targets, Target::Same same, double seconds)
{
    constexpr double between_looks = 0.02; // seconds
    std::vector<bool> still(targets.size());
    for (int looks = static_cast<int>(std::ceil(seconds / between_looks)); looks >= 0; --looks) {
        for (size_t i = 0; i < targets.size(); ++i)
            still[i] = targets[i].sent && !look("1", targets[i], same).empty();
        if (looks == 0 || std::none_of(still.begin(), still.end(), [](bool is) { return is; }))
            break;
        pause(between_looks);
    }
    return still;
}

} // namespace opsrunbook::pg
