#pragma once
// Cancelling and disconnecting other sessions, by the server's own rules of who may.

#include <string>
#include <vector>

#include "base/value.hpp"

namespace opsrunbook::pg {

// A session as it was when it was chosen.  Process ids are reused and sessions move on, so nothing is
// signalled that is not still in the same statement, the same idle spell, or at least the same session.
struct Target {
    enum class Same { statement, idle_spell, session };
    int pid = 0;
    base::Timestamp backend_start;
    base::Timestamp since; // start of the statement, or of the idle spell
    bool sent = false;     // the last signal went out
    std::string refusal;   // the server's reason why the caller may not signal it
};

enum class Signal { cancel, terminate };

// Sends a signal to each target that is still the same and that the caller may signal.
void send(std::vector<Target> &targets, Signal signal, Target::Same same);

// Waits until none of the signalled targets is the same any longer, at most `seconds`; whether each still is.
std::vector<bool> wait_for(const std::vector<Target> &targets, Target::Same same, double seconds);

} // namespace opsrunbook::pg
