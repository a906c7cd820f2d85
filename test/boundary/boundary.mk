# The module that the regression test "boundary" loads: functions that throw and ereport across the boundary in every
# direction.  It is built from the same objects as the extension, stays in build/ and is never installed; the test
# names it by its path.  Included by the Makefile after PGXS.

BOUNDARY_DIRECTORY = build/boundary
BOUNDARY_MODULE = $(BOUNDARY_DIRECTORY)/opsrunbook_boundary_test.so

.PHONY: boundary-module
boundary-module: $(BOUNDARY_MODULE)
installcheck: $(BOUNDARY_MODULE)

$(BOUNDARY_DIRECTORY)/boundary_test.o: test/boundary/boundary_test.cpp Makefile
	@mkdir -p $(@D)
	@echo "  CXX $<"
	@$(CXX) $(CXX_MODULE_FLAGS) -MMD -MP -c $< -o $@

# An archive gives what is asked of it and no more; the magic block is the test's own.
$(BOUNDARY_DIRECTORY)/objects.a: $(filter-out src/opsrunbook.o,$(OBJS))
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BOUNDARY_MODULE): $(BOUNDARY_DIRECTORY)/boundary_test.o $(BOUNDARY_DIRECTORY)/objects.a
	@$(CXX) -shared $^ -o $@

-include $(BOUNDARY_DIRECTORY)/boundary_test.d
