#pragma once

namespace opsrunbook::pg {

// Waits.  Wakes up early when the process is told something, with an error when that is to cancel or to end.
void pause(double seconds);

} // namespace opsrunbook::pg
