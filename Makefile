# make, make install, make installcheck: as with any PGXS extension; PG_CONFIG names the server to build for.
# make unit: the decisions' unit tests, no server needed.
EXTENSION = opsrunbook
MODULE_big = opsrunbook
PG_CONFIG ?= pg_config

EXTENSION_VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" opsrunbook.control)

SOURCES := $(sort $(wildcard src/*.cpp src/*/*.cpp src/*/*/*.cpp))
OBJS = $(SOURCES:.cpp=.o)

# The install script is the concatenation of the rooms' SQL, in this order: schemas and tables first.
INSTALL_SQL = src/schemas.sql \
	src/health/health.sql \
	src/health/alerting/alerting.sql \
	src/health/triage/triage.sql \
	src/health/storage/storage.sql \
	src/advice/bloat/bloat.sql \
	src/advice/index_usage/index_usage.sql \
	src/maintenance/maintenance.sql \
	src/maintenance/retention/retention.sql \
	src/maintenance/verification/verification.sql \
	src/maintenance/schedule/schedule.sql \
	src/advice/index_trial/index_trial.sql
DATA_built = opsrunbook--$(EXTENSION_VERSION).sql

REGRESS = $(sort $(basename $(notdir $(wildcard sql/*.sql))))
REGRESS_OPTS = --encoding=UTF8
EXTRA_CLEAN = $(SOURCES:.cpp=.d) build

# Bitcode would be compiled without our flags.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

SHLIB_LINK += -lstdc++ -Wl,--version-script=src/exports.map
shlib: src/exports.map

# g++ 14 and later see, inside std::variant and std::vector, members not initialised and memory not from the heap where
# there is no such thing.
WARNINGS = -Wall -Wextra -Wshadow -Werror -Wno-register -Wno-maybe-uninitialized -Wno-free-nonheap-object
CXX_MODULE_FLAGS = -std=c++20 -O2 -g -fPIC -fno-strict-aliasing -fwrapv $(WARNINGS) -fvisibility=hidden -fvisibility-inlines-hidden \
	-Isrc -isystem $(includedir_server) -D_GNU_SOURCE

%.o: %.cpp
	@echo "  CXX $<"
	@$(CXX) $(CXX_MODULE_FLAGS) -MMD -MP -c $< -o $@

$(OBJS): Makefile

-include $(SOURCES:.cpp=.d)

opsrunbook--$(EXTENSION_VERSION).sql: $(INSTALL_SQL) opsrunbook.control
	{ printf '%s\n' '\echo Use "CREATE EXTENSION opsrunbook" to load this file. \quit'; cat $(INSTALL_SQL); } > $@

include test/unit/unit.mk
include test/boundary/boundary.mk
