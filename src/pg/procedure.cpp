#include "pg/procedure.hpp"
#include "pg/boundary.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace opsrunbook::pg {

void commit_procedure()
{
    if (call([] { return IsTransactionBlock(); }))
        throw base::Error(
            base::ErrorKind::not_ready, "the procedure cannot run inside a transaction block", "",
            "CALL it outside of BEGIN and COMMIT: it commits first, so that it can wait for everything.");
    call([] {
        SPI_connect_ext(SPI_OPT_NONATOMIC);
        SPI_commit();
        SPI_finish();
    });
}

} // namespace opsrunbook::pg
