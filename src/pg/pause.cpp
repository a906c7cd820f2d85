#include "pg/pause.hpp"
#include "pg/boundary.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/wait_event.h"
}

namespace opsrunbook::pg {

void pause(double seconds)
{
    const long milliseconds = static_cast<long>(seconds * 1000);
    call([milliseconds] {
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

} // namespace opsrunbook::pg
