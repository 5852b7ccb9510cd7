# SPDX-License-Identifier: Apache-2.0
# The datapath compiled for this machine; docs/analysis.md tells why.
#
# make native        the programs of tests/bpf with the native datapath
# make bpf-coverage  runs them and says which branches of bpf/ they reach (root)

NATIVE_BUILD := $(BUILD)/native
NATIVE_CFLAGS := -g -std=gnu11 -O1 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
                 $(if $(filter 1,$(WERROR)),-Werror)
# The headers that both sides share take the BPF side (__bpf__). Members of the kernel's structures are found by their names
# in BPF alone; here that attribute does nothing.
NATIVE_DATAPATH := -D__bpf__ -Itests/native/include '-Dpreserve_access_index=annotate("kernel")' -Werror=implicit-function-declaration \
                   -Wno-unused-function -Wno-int-to-pointer-cast -fno-strict-aliasing
NATIVE_HELPERS := $(patsubst tests/native/%.c,$(NATIVE_BUILD)/%.o,$(filter-out %.bpf.c, \
                  $(filter-out tests/native/test_%,$(wildcard tests/native/*.c))))
NATIVE_TESTS := $(BPF_TESTS:$(BUILD)/tests/bpf/%=$(NATIVE_BUILD)/%) \
                $(patsubst tests/native/%.c,$(NATIVE_BUILD)/%,$(wildcard tests/native/test_*.c))
NATIVE_SKELETON := $(NATIVE_BUILD)/include/tests/native/way.skel.h
NATIVE_COVERAGE := -fprofile-instr-generate -fcoverage-mapping

$(NATIVE_BUILD)/way.bpf.o: tests/native/way.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(NATIVE_SKELETON): $(NATIVE_BUILD)/way.bpf.o
	@mkdir -p $(@D)
	$(call say,SKEL)$(BPFTOOL) gen skeleton $< name way_bpf > $@

$(NATIVE_BUILD)/datapath.o: bpf/egressgw.bpf.c $(wildcard tests/native/include/bpf/*.h)
	@mkdir -p $(@D)
	$(call say,CLANG)$(CLANG) $(NATIVE_DATAPATH) $(NATIVE_CFLAGS) $(NATIVE_COVERAGE) -I. -Iinclude -MMD -MP -c $< -o $@

$(NATIVE_BUILD)/%.o: tests/native/%.c $(NATIVE_SKELETON) | $(SKELETON)
	@mkdir -p $(@D)
	$(call say,CLANG)$(CLANG) -I$(NATIVE_BUILD)/include $(CPPFLAGS) $(NATIVE_CFLAGS) -c $< -o $@

# The same objects as those of the tests in the kernel.
NATIVE_LINK = $(CLANG) $(NATIVE_COVERAGE) -rdynamic $(filter %.o,$^) $(filter %.a,$^) -o $@ $(TEST_LIBRARIES) -ldl
$(NATIVE_BUILD)/test_%: $(BUILD)/tests/bpf/test_%.o $(NATIVE_BUILD)/datapath.o $(NATIVE_HELPERS) $(BUILD)/libbpftest.a $(TEST_ARCHIVES)
	$(call say,LINK)$(NATIVE_LINK)

$(NATIVE_BUILD)/test_%: $(NATIVE_BUILD)/test_%.o $(NATIVE_BUILD)/datapath.o $(NATIVE_HELPERS) $(BUILD)/libbpftest.a $(TEST_ARCHIVES)
	$(call say,LINK)$(NATIVE_LINK)

.PHONY: native bpf-coverage
native: $(NATIVE_TESTS)

bpf-coverage:
	@./tests/deps analysis
	@$(MAKE) --no-print-directory native
	@./tests/native/coverage $(BUILD)
