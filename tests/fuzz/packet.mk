# SPDX-License-Identifier: Apache-2.0
# The fuzz target that takes the native datapath (tests/native) and the frames of tests/bpf.

PACKET_SOURCES := $(filter-out tests/native/test_%,$(filter-out %.bpf.c,$(wildcard tests/native/*.c))) \
                  $(filter-out tests/bpf/test_%,$(wildcard tests/bpf/*.c))
PACKET_OBJECTS := $(PACKET_SOURCES:%.c=$(FUZZ_BUILD)/%.o) $(FUZZ_BUILD)/datapath.o

$(PACKET_SOURCES:%.c=$(FUZZ_BUILD)/%.o): $(NATIVE_SKELETON)
$(FUZZ_BUILD)/tests/native/%.o: CPPFLAGS += -I$(NATIVE_BUILD)/include

# The BPF machine reads where it likes; packets lie at even addresses here as there.
$(FUZZ_BUILD)/datapath.o: bpf/egressgw.bpf.c
	@mkdir -p $(@D)
	$(call say,FUZZ)$(CLANG) $(NATIVE_DATAPATH) $(FUZZ_CFLAGS) -Wno-unused-parameter -fno-sanitize=alignment \
		-fsanitize=fuzzer-no-link -I. -Iinclude -MMD -MP -c $< -o $@

$(FUZZ_BUILD)/fuzz_packet: $(FUZZ_BUILD)/tests/fuzz/fuzz_packet.o $(PACKET_OBJECTS) $(FUZZ_BUILD)/libdaemons.a
	$(call say,LINK)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -rdynamic $^ -o $@ -lcmocka $(LIBRARIES_ipc) \
		$(LIBRARIES_all) -ldl

$(BUILD)/tests/fuzz/seeds_packet: $(BUILD)/tests/fuzz/seeds_packet.o $(BUILD)/libbpftest.a $(TEST_ARCHIVES)
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(TEST_LIBRARIES)

fuzz-programs: $(BUILD)/tests/fuzz/seeds_packet
