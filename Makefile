# SPDX-License-Identifier: Apache-2.0
#
# make [all]      builds the three daemons into build/
# make deps       installs what building and testing need (Debian), or lists it
# make demo       shows the main job between network namespaces (root)
# make test       unit, bpf, lab, cluster and kernel tests; without root the unit tests
# make sanitized  the same tests under the address and undefined behaviour sanitizers (docs/analysis.md)
# make fuzz       fuzzes each decoder of outside bytes; RUNS=short: two minutes (docs/fuzzing.md)
# make native bpf-coverage  the datapath compiled for this machine, and which of its branches tests reach (root)
# make lint       checkers of the sources: format, shellcheck, clang-tidy, gcc's analyzer and conversions
# make soak       the tests that have a long form, in that: hours (docs/analysis.md)
# make arm64      unit tests, datapath and daemons on an emulated arm64 machine: an hour (root, amd64)
# make bench      measures the datapath, the watcher, the planner and the loader beside their peers (root)
# make install    DESTDIR= PREFIX=/usr
# make format     formats the sources
#
# V=1 shows the commands. SANITIZE=1 builds with the address and undefined behaviour sanitizers (in a folder of its own),
# WERROR=1 makes warnings errors.

VERSION := 0.1.0
PREFIX ?= /usr
SYSCONFDIR ?= /etc
V ?= 0
SANITIZE ?= 0
WERROR ?= 0

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= $(shell command -v bpftool 2>/dev/null || echo /usr/sbin/bpftool)
PKG_CONFIG ?= pkg-config
BUILD := build$(if $(filter 1,$(SANITIZE)),/sanitize)
DAEMONS := watcher planner loader

COMMON_PACKAGES := libevent libcap libseccomp yaml-0.1
PACKAGES_watcher := libcurl jansson
PACKAGES_loader := libbpf libelf
LIBRARIES_ipc := -lmsgpackc

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wno-missing-field-initializers $(if $(filter 1,$(WERROR)),-Werror)
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection \
             $(if $(filter x86_64%,$(MACHINE)),-fcf-protection) \
             $(if $(filter aarch64%,$(MACHINE)),-mbranch-protection=standard)
ifeq ($(SANITIZE),1)
SANITIZERS := -fsanitize=address,undefined
# Their run-time is in the programs: from a library it would have to come before what a test preloads.
LINK_SANITIZERS := $(SANITIZERS) -static-libasan -static-libubsan
OPTIMISE := -O1 $(SANITIZERS) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
OPTIMISE := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
CPPFLAGS += -D_GNU_SOURCE -DEGRESSGW_VERSION='"$(VERSION)"' -I. -Iinclude -I$(BUILD) -MMD -MP
CFLAGS ?= -g
override CFLAGS += -std=gnu11 $(OPTIMISE) $(WARNINGS) $(HARDENING)
override LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed \
                    $(LINK_SANITIZERS)
comma := ,
# $(call say,WORD) stands before a command: its name and target, or with V=1 the command itself.
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' $(1) $(patsubst $(CURDIR)/%,%,$@);)
packages = $(shell $(PKG_CONFIG) $(1) $(COMMON_PACKAGES) $(2) 2>/dev/null)
# Asked once, not for each object.
PACKAGE_CFLAGS := $(call packages,--cflags,$(PACKAGES_watcher) $(PACKAGES_loader))
LIBRARIES_all := $(call packages,--libs,$(PACKAGES_watcher) $(PACKAGES_loader))

MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter \
              -Wno-missing-field-initializers $(if $(filter 1,$(WERROR)),-Werror) \
              $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH)) -I. -Iinclude -MMD -MP

sources = $(filter-out %/main.c,$(wildcard $(1)/*.c))
objects = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))
LIBS := common ipc $(DAEMONS)
archive = $(BUILD)/lib$(1).a
PROGRAMS := $(DAEMONS:%=$(BUILD)/egressgw-%)
SKELETON := $(BUILD)/bpf/egressgw.skel.h

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BPF_TESTS := $(patsubst tests/bpf/%.c,$(BUILD)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))
TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(filter-out %.bpf.c,$(wildcard tests/tools/*.c)))
PRELOADS := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/preload/*.c))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/bench_*.c))
UNIT_HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
BPF_HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/bpf/test_%,$(wildcard tests/bpf/*.c)))

.PHONY: all bpf deps demo test tests bench install format clean lint lint-sources
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS)
bpf: $(SKELETON)

$(BUILD)/%.o: %.c | $(SKELETON)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(PACKAGE_CFLAGS) $(CFLAGS) -c $< -o $@

define library
$(call archive,$(1)): $(call objects,$(1))
	@rm -f $$@
	$$(call say,AR)$$(AR) rcs $$@ $$^
endef
$(foreach lib,$(LIBS),$(eval $(call library,$(lib))))

define daemon
$(BUILD)/egressgw-$(1): $(BUILD)/$(1)/main.o $(call archive,$(1)) $(call archive,ipc) $(call archive,common)
	$$(call say,LINK)$$(CC) $$(CFLAGS) $$(LDFLAGS) $$^ -o $$@ $$(LIBRARIES_ipc) \
		$$(call packages,--libs,$$(PACKAGES_$(1)))
endef
$(foreach name,$(DAEMONS),$(eval $(call daemon,$(name))))

$(BUILD)/bpf/egressgw.bpf.o: bpf/egressgw.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(SKELETON): $(BUILD)/bpf/egressgw.bpf.o
	$(call say,SKEL)$(BPFTOOL) gen skeleton $< name egressgw_bpf > $@

TEST_ARCHIVES := $(foreach lib,$(DAEMONS) ipc common,$(call archive,$(lib)))
TOOL_LIBRARIES = $(LIBRARIES_ipc) $(LIBRARIES_all) -lm
TEST_LIBRARIES = -lcmocka $(TOOL_LIBRARIES)

# What several test programs share: an archive, so that each takes only what it uses.
$(BUILD)/libunit.a: $(UNIT_HELPERS)
$(BUILD)/libbpftest.a: $(BPF_HELPERS)
$(BUILD)/libunit.a $(BUILD)/libbpftest.a:
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libunit.a $(TEST_ARCHIVES)
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(TEST_LIBRARIES)

# Under the sanitizers, whose allocator has to stay, what fails in these are the allocations of our own code.
ifeq ($(SANITIZE),1)
$(filter $(BUILD)/tests/unit/test_scarce_%,$(UNIT_TESTS)): override LDFLAGS += \
	$(addprefix -Wl$(comma)--wrap=,malloc calloc realloc reallocarray strdup)
endif

$(BUILD)/tests/bpf/%: $(BUILD)/tests/bpf/%.o $(BUILD)/libbpftest.a $(TEST_ARCHIVES)
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(TEST_LIBRARIES)

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(TEST_ARCHIVES)
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(TEST_LIBRARIES)

$(BUILD)/tests/bench/bench_programs $(BUILD)/tests/bench/bench_ports: $(BUILD)/libbpftest.a

$(BUILD)/tests/preload/%.so: tests/preload/%.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CPPFLAGS) $(filter-out $(SANITIZERS),$(CFLAGS)) -fPIC -shared $< -o $@

$(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(TEST_ARCHIVES)
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(TOOL_LIBRARIES)

# The tool that is a hostile peer says what the unit tests' peers say.
$(BUILD)/tests/tools/hostile: $(BUILD)/tests/tools/hostile.o $(BUILD)/libunit.a $(TEST_ARCHIVES)
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(TEST_LIBRARIES)

# The tool that looks up in the kernel has a program of its own.
LOOKUP_SKELETON := $(BUILD)/tests/tools/lookup.skel.h

$(BUILD)/tests/tools/lookup.bpf.o: tests/tools/lookup.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(LOOKUP_SKELETON): $(BUILD)/tests/tools/lookup.bpf.o
	$(call say,SKEL)$(BPFTOOL) gen skeleton $< name lookup_bpf > $@

$(BUILD)/tests/tools/lookup.o: | $(LOOKUP_SKELETON)

# Loaders as another release would have them: with the same source, but another program for the kernel, and with
# another layout of the maps.
RELEASES := $(BUILD)/tests/releases
OTHER_LOADERS := $(RELEASES)/program/egressgw-loader $(RELEASES)/layout/egressgw-loader
LAYOUT_OBJECTS := $(RELEASES)/layout/loader/object_maps.o $(RELEASES)/layout/loader/show.o \
                  $(RELEASES)/layout/common/options.o

$(RELEASES)/program/bpf/egressgw.bpf.o: bpf/egressgw.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) $(BPF_CFLAGS) -DTUNNEL_HOP_LIMIT=65 -c $< -o $@

$(RELEASES)/program/bpf/egressgw.skel.h: $(RELEASES)/program/bpf/egressgw.bpf.o
	$(call say,SKEL)$(BPFTOOL) gen skeleton $< name egressgw_bpf > $@

$(RELEASES)/layout/include/egressgw/layout.h: include/egressgw/layout.h
	@mkdir -p $(@D)
	$(call say,SED)sed 's/^#define LAYOUT_VERSION [0-9]*/&0/' $< > $@

$(RELEASES)/program/%.o: %.c $(RELEASES)/program/bpf/egressgw.skel.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -I$(RELEASES)/program $(CPPFLAGS) $(PACKAGE_CFLAGS) $(CFLAGS) -c $< -o $@

$(RELEASES)/layout/%.o: %.c $(RELEASES)/layout/include/egressgw/layout.h | $(SKELETON)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -I$(RELEASES)/layout/include $(CPPFLAGS) $(PACKAGE_CFLAGS) $(CFLAGS) -c $< -o $@

$(RELEASES)/program/egressgw-loader: $(RELEASES)/program/loader/object.o
$(RELEASES)/layout/egressgw-loader: $(LAYOUT_OBJECTS)
$(OTHER_LOADERS): $(BUILD)/loader/main.o $(foreach lib,loader ipc common,$(call archive,$(lib)))
	$(call say,LINK)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(LIBRARIES_ipc) \
		$(call packages,--libs,$(PACKAGES_loader))

tests: all $(OTHER_LOADERS) $(UNIT_TESTS) $(BPF_TESTS) $(TOOLS) $(PRELOADS) $(BENCHES)

deps:
	@./tests/deps

demo:
	@./tests/deps demo
	@$(MAKE) --no-print-directory all $(TOOLS)
	@./tests/lab/demo $(BUILD)

test: deps
	@$(MAKE) --no-print-directory tests
	@./tests/run $(BUILD)

# ---- Checkers of the sources; what each is for and why others are not here: docs/analysis.md

LINTED := $(foreach lib,$(LIBS),$(wildcard $(lib)/*.c))
# An object of its own: the analyzer takes a while, and an ordinary build should not wait for it. Leaks are the leak
# detector's to find (make sanitized); the analyzer loses what is stored behind two pointers.
LINT_CFLAGS := -std=gnu11 -O1 -Werror -Wall -Wextra -Wno-missing-field-initializers -Wconversion -Wshadow \
               -Wstrict-prototypes -Wvla -fanalyzer -Wno-analyzer-malloc-leak

# What bpftool generates is not ours to check: a system header.
$(BUILD)/lint/%.o: %.c | $(SKELETON)
	@mkdir -p $(@D)
	$(call say,CHECK)$(CC) $(filter-out -I$(BUILD),$(CPPFLAGS)) -isystem $(BUILD) $(PACKAGE_CFLAGS) $(LINT_CFLAGS) -c $< -o $@

# After the object, which is made again when a header changes.
$(BUILD)/lint/%.tidy: %.c $(BUILD)/lint/%.o .clang-tidy
	$(call say,TIDY)clang-tidy --quiet $< -- $(filter-out -M%,$(CPPFLAGS)) $(PACKAGE_CFLAGS) -std=gnu11 2>$@.log || \
		{ cat $@.log; exit 1; }
	@mv $@.log $@

lint-sources: $(LINTED:%.c=$(BUILD)/lint/%.o) $(LINTED:%.c=$(BUILD)/lint/%.tidy)

lint:
	@./tests/deps analysis
	@./tests/lint/files
	@$(MAKE) --no-print-directory --keep-going lint-sources

# ---- Under the address and undefined behaviour sanitizers, with leak detection

.PHONY: sanitized
sanitized: deps
	@$(MAKE) --no-print-directory SANITIZE=1 tests
	@./tests/run build/sanitize $(or $(SANITIZED),unit/ bpf/ lab/ cluster/)

# The programs that read SOAK do more of the same where it is set.
SOAKED ?= $(patsubst tests/%,%,$(basename $(shell grep -lw SOAK tests/*/test_*)))

.PHONY: soak
soak: deps
	@$(MAKE) --no-print-directory tests
	@SOAK=1 ./tests/run $(BUILD) $(SOAKED)

.PHONY: arm64
arm64:
	@./tests/deps arm64
	@./tests/kernel/arm64

include tests/fuzz/fuzz.mk
include tests/native/native.mk
include tests/fuzz/packet.mk

bench: deps
	@$(MAKE) --no-print-directory tests
	@./tests/bench/run $(BUILD)

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib/systemd/system \
		$(DESTDIR)$(PREFIX)/lib/systemd/system-preset \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d \
		$(DESTDIR)$(SYSCONFDIR)/egressgw
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin
	install -m 644 $(wildcard systemd/*.service systemd/*.socket systemd/*.target) \
		$(DESTDIR)$(PREFIX)/lib/systemd/system
	sed -i 's,/usr/,$(PREFIX)/,' $(DESTDIR)$(PREFIX)/lib/systemd/system/egressgw*.service \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/egressgw.target
	install -d $(DESTDIR)$(PREFIX)/share/doc/egressgw/docs
	install -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/egressgw
	install -m 644 $(wildcard docs/*.md) $(DESTDIR)$(PREFIX)/share/doc/egressgw/docs
	install -m 644 systemd/egressgw.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/egressgw.conf
	install -m 644 systemd/egressgw.preset $(DESTDIR)$(PREFIX)/lib/systemd/system-preset/80-egressgw.preset
	install -m 644 systemd/egressgw.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/egressgw.conf

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
