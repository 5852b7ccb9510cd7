# SPDX-License-Identifier: Apache-2.0
# Fuzzers, by clang's libFuzzer; docs/fuzzing.md tells more.
#
# make fuzz           all targets, on all processors, until interrupted. RUNS=N: so many inputs each; RUNS=short: two
#                     minutes in all; TARGETS='record config': only these
# make fuzz-coverage  which lines and branches the corpora reach

FUZZ_COVERAGE ?= 0
FUZZ_BUILD := $(BUILD)/$(if $(filter 1,$(FUZZ_COVERAGE)),fuzz-coverage,fuzz)
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/fuzz_%)
FUZZ_SANITIZE := $(if $(filter 1,$(FUZZ_COVERAGE)),-fprofile-instr-generate -fcoverage-mapping, \
                 -fsanitize=address$(comma)undefined -fno-sanitize-recover=all)
FUZZ_CFLAGS := -g -std=gnu11 -O1 -fno-omit-frame-pointer -Wall -Wextra -Wno-missing-field-initializers \
               $(if $(filter 1,$(WERROR)),-Werror) $(FUZZ_SANITIZE)
fuzz_objects = $(patsubst %.c,$(FUZZ_BUILD)/%.o,$(call sources,$(1)))

$(FUZZ_BUILD)/%.o: %.c | $(SKELETON)
	@mkdir -p $(@D)
	$(call say,FUZZ)$(CLANG) $(CPPFLAGS) $(PACKAGE_CFLAGS) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c $< -o $@

$(FUZZ_BUILD)/libdaemons.a: $(foreach lib,$(LIBS),$(call fuzz_objects,$(lib)))
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(FUZZ_BUILD)/fuzz_%: $(FUZZ_BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_BUILD)/libdaemons.a
	$(call say,LINK)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer $^ -o $@ $(LIBRARIES_ipc) $(LIBRARIES_all)

# Writes the first corpora: records as the unit tests make them, this tree's manifests, messages of this kernel.
$(BUILD)/tests/fuzz/seeds: $(BUILD)/tests/fuzz/seeds.o $(BUILD)/libunit.a $(TEST_ARCHIVES)
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(TEST_LIBRARIES)

.PHONY: fuzz fuzz-programs fuzz-coverage
fuzz-programs: $(FUZZ_PROGRAMS) $(BUILD)/tests/fuzz/seeds

fuzz:
	@./tests/deps analysis
	@$(MAKE) --no-print-directory fuzz-programs
	@./tests/fuzz/run $(BUILD) '$(RUNS)' $(TARGETS)

fuzz-coverage:
	@./tests/deps analysis
	@$(MAKE) --no-print-directory fuzz-programs FUZZ_COVERAGE=1
	@./tests/fuzz/coverage $(BUILD) $(TARGETS)
