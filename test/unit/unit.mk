# make unit: builds and runs the unit tests of everything that needs no server, with the address and the
# undefined-behaviour sanitizer.  Included by the Makefile after PGXS.

UNIT_DIRECTORY = build/unit
# What includes a pg/ header calls the server; the rest is found, not listed.
UNIT_SUBJECTS := $(shell grep -L '\#include "pg/' $(filter-out src/pg/%,$(SOURCES)) /dev/null | grep -v '^/dev/null$$')
UNIT_TESTS := $(sort $(wildcard test/unit/*_test.cpp))
UNIT_SUBJECT_OBJECTS = $(UNIT_SUBJECTS:%.cpp=$(UNIT_DIRECTORY)/%.o)
UNIT_TEST_OBJECTS = $(UNIT_TESTS:%.cpp=$(UNIT_DIRECTORY)/%.o)

UNIT_FLAGS = -std=c++20 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
	$(WARNINGS) -Isrc -isystem $(includedir_server) -D_GNU_SOURCE

.PHONY: unit
unit: $(UNIT_DIRECTORY)/unit_tests
	$(UNIT_DIRECTORY)/unit_tests

# An archive, so that a subject which no test reaches need not be linkable on its own.
$(UNIT_DIRECTORY)/subjects.a: $(UNIT_SUBJECT_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

$(UNIT_DIRECTORY)/unit_tests: $(UNIT_TEST_OBJECTS) $(UNIT_DIRECTORY)/subjects.a
	$(CXX) -fsanitize=address,undefined $(UNIT_TEST_OBJECTS) $(UNIT_DIRECTORY)/subjects.a \
		-lgtest_main -lgtest -lpthread -o $@

$(UNIT_DIRECTORY)/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  CXX $< (unit)"
	@$(CXX) $(UNIT_FLAGS) -MMD -MP -c $< -o $@

$(UNIT_SUBJECT_OBJECTS) $(UNIT_TEST_OBJECTS): Makefile test/unit/unit.mk

-include $(UNIT_SUBJECT_OBJECTS:.o=.d) $(UNIT_TEST_OBJECTS:.o=.d)
