# The module that the regression test "boundary" loads: functions that throw and ereport across the boundary in every
# direction.  It is built from the same objects as the extension, stays in build/ and is never installed; the test
# names it by its path.  Included by the Makefile after PGXS.

BOUNDARY_MODULE = build/boundary/opsrunbook_boundary_test.so
BOUNDARY_OBJECTS = build/boundary/boundary_test.o src/pg/boundary.o src/pg/database.o src/pg/datum.o src/pg/values.o \
	src/pg/role.o src/base/text.o src/base/value.o

.PHONY: boundary-module
boundary-module: $(BOUNDARY_MODULE)
installcheck: $(BOUNDARY_MODULE)

build/boundary/boundary_test.o: test/boundary/boundary_test.cpp Makefile
	@mkdir -p $(@D)
	@echo "  CXX $<"
	@$(CXX) $(CXX_MODULE_FLAGS) -MMD -MP -c $< -o $@

$(BOUNDARY_MODULE): $(BOUNDARY_OBJECTS)
	@$(CXX) -shared $(BOUNDARY_OBJECTS) -o $@

-include build/boundary/boundary_test.d
