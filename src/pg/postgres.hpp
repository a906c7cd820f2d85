#pragma once
// The server's headers, once, as C.  Only files in src/pg include this, after the C++ standard headers.

#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

extern "C" {
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

// Macros that collide with C++ names.
#undef Min
#undef Max
#undef Abs
#undef foreach
#undef gettext
#undef ngettext
#undef dgettext
#undef dngettext
#undef _
