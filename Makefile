# ringside: one Makefile, no recursion. `make help` lists the targets.
#   make                   ./ringside
#   make deps demo         install the packages, build, run the main job on the demo models
#   make deps check        install the packages, build, pass all tests
# Variables: CC, CFLAGS, SAN=address,undefined | thread, WERROR=1, V=1, BUILD=folder

CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
comma := ,
FLAVOUR := $(BUILD)/$(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN)))

PKGS := ncursesw openblas lapacke libcjson readline libutf8proc libpcre2-8 libxxhash
TEST_PKGS := libcrypto
PACKAGES := build-essential pkg-config libncurses-dev libopenblas-dev liblapacke-dev \
  libcjson-dev libreadline-dev libutf8proc-dev libpcre2-dev libxxhash-dev
TEST_PACKAGES := libssl-dev tmux procps clang libclang-rt-14-dev

# ncursesw's flags define _XOPEN_SOURCE=600: drop every -D, take -I as system folders.
PKG_CFLAGS = $(patsubst -I%,-isystem %,$(filter-out -D%,$(shell pkg-config --cflags $(PKGS))))
PKG_LIBS = $(shell pkg-config --libs $(PKGS)) -lm -lpthread
TEST_LIBS = $(shell pkg-config --libs $(TEST_PKGS))

IS_CLANG := $(findstring clang,$(notdir $(CC)))
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
  -Wpointer-arith -Wwrite-strings -Wformat=2 $(if $(WERROR),-Werror)
HARDEN := $(if $(SAN),,-fstack-protector-strong -D_FORTIFY_SOURCE=2)
# gcc's checks see objects of size 0 where its sanitizers have split a pointer's paths: only
# the plain build, the same code, is judged by them.
SAN_CFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer \
  $(if $(IS_CLANG),,-Wno-stringop-overflow -Wno-stringop-overread))
ALL_CFLAGS = -std=c11 $(CFLAGS) -ffp-contract=off -D_XOPEN_SOURCE=700 -D_DEFAULT_SOURCE \
  $(WARN) $(HARDEN) $(SAN_CFLAGS) \
  -DRS_PREFIX='"$(PREFIX)"' -Icore -I. $(PKG_CFLAGS)
LINK = $(CC) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN))

# Kernel files are compiled once per instruction set, each time filling another table.
ISAS := base $(if $(filter x86_64,$(shell uname -m)),avx2 avx512)
ISA_base :=
ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c -mprefer-vector-width=512
KERNEL_CFLAGS := -ftree-vectorize $(if $(IS_CLANG),,-fvect-cost-model=dynamic)

ISA_SRC := $(wildcard core/tensor/isa/*.c)
CORE_SRC := $(filter-out $(ISA_SRC),$(wildcard core/*/*.c core/*/*/*.c))
UI_SRC := $(filter-out tui/main.c,$(wildcard tui/*/*.c))
ISA_OBJ := $(foreach isa,$(ISAS),$(ISA_SRC:%.c=$(FLAVOUR)/%.$(isa).o))
CORE_OBJ := $(CORE_SRC:%.c=$(FLAVOUR)/%.o) $(ISA_OBJ)
UI_OBJ := $(UI_SRC:%.c=$(FLAVOUR)/%.o)
LIB := $(FLAVOUR)/libringside.a
UI_LIB := $(FLAVOUR)/libringside-ui.a
BIN := $(FLAVOUR)/ringside

TEST_SRC := $(wildcard tests/unit/test_*.c)
UI_TEST_SRC := $(wildcard tests/unit/ui_*.c)
TEST_BIN := $(TEST_SRC:%.c=$(FLAVOUR)/%)
UI_TEST_BIN := $(UI_TEST_SRC:%.c=$(FLAVOUR)/%)
BENCH_BIN := $(patsubst %.c,$(FLAVOUR)/%,$(wildcard tests/bench/bench_*.c))
SYNTHETIC := $(FLAVOUR)/tests/bench/synthetic

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

.PHONY: all help programs synthetic tests test test-threads check sanitize bench fuzz fuzz-replay snap lint format docs \
  install uninstall deps demo clean
all: ringside

ringside: $(BIN)
	$(Q)cp -f $< $@.new && mv -f $@.new $@

$(BIN): $(FLAVOUR)/tui/main.o $(UI_OBJ) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

$(LIB): $(CORE_OBJ)
$(UI_LIB): $(UI_OBJ)
$(LIB) $(UI_LIB):
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(FLAVOUR)/%.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define isa_rule
$(FLAVOUR)/core/tensor/isa/%.$(1).o: core/tensor/isa/%.c Makefile
	$$(call say,CC,'$$< $(1)')
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(ALL_CFLAGS) $(KERNEL_CFLAGS) $(ISA_$(1)) -DRS_ISA=$(1) \
	  -DRS_ISA_$(1)=1 -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$(TEST_BIN): $(FLAVOUR)/%: $(FLAVOUR)/%.o $(LIB)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) $(TEST_LIBS)
$(UI_TEST_BIN) $(BENCH_BIN) $(SYNTHETIC): $(FLAVOUR)/%: $(FLAVOUR)/%.o $(UI_LIB) $(LIB)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

programs: $(BIN) $(TEST_BIN) $(UI_TEST_BIN)

# A sanitizer's build stays in its folder: ./ringside is always the plain one.
tests: $(TEST_BIN) $(UI_TEST_BIN) $(if $(SAN),$(BIN),ringside)

test: tests
	@tests/run.sh $(TEST_BIN) $(UI_TEST_BIN)

# Everything that has to pass; the last line is the sum.
check:
	@$(MAKE) --no-print-directory -j$$(nproc) tests synthetic
	@SYNTHETIC=$(SYNTHETIC) tests/check.sh

# Unit tests under ASan+UBSan, what is threaded under TSan; sums up like test.
sanitize:
	@$(MAKE) --no-print-directory SAN=address,undefined test
	@$(MAKE) --no-print-directory CC=clang SAN=thread test-threads

THREAD_TESTS := $(foreach t,base_pool store_writer execute export export_merge live merge_memory backward fisher_run,\
  tests/unit/test_$(t).c)
test-threads: $(THREAD_TESTS:%.c=$(FLAVOUR)/%)
	@tests/run.sh $^

snap: ringside
	@GENERATE=1 tests/snapshot/run.sh ./ringside

lint: $(LIB)
	@tests/lint.sh $(LIB)

synthetic: $(SYNTHETIC)

bench: $(BENCH_BIN) ringside
	@tests/bench/run.sh $(BENCH_BIN)

# Fuzz targets: libFuzzer with clang, FUZZ_SECONDS each; fuzz-replay runs the committed
# corpora through the same targets with any compiler.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_SECONDS ?= 60
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
REPLAY_BIN := $(FUZZ_SRC:%.c=$(FLAVOUR)/%)
$(FUZZ_BIN): $(BUILD)/fuzz/%: tests/fuzz/%.c
	$(call say,FUZZ,$@)
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined CFLAGS="-O1 -g -fsanitize=fuzzer-no-link" \
	  BUILD=$(BUILD)/fuzz/lib $(BUILD)/fuzz/lib/clang-address-undefined/libringside.a
	$(Q)mkdir -p $(@D) && clang -g -O1 -std=c11 -D_XOPEN_SOURCE=700 -D_DEFAULT_SOURCE -Icore -I. \
	  $(PKG_CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< \
	  $(BUILD)/fuzz/lib/clang-address-undefined/libringside.a $(PKG_LIBS)
fuzz: $(FUZZ_BIN)
	@for f in $(FUZZ_BIN); do name=$${f##*/fuzz_}; mkdir -p $(BUILD)/fuzz/corpus/$$name; \
	  echo "fuzz $$name"; $$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -print_final_stats=0 \
	  $(BUILD)/fuzz/corpus/$$name tests/fuzz/corpus/$$name || exit 1; done

$(REPLAY_BIN): $(FLAVOUR)/tests/fuzz/%: $(FLAVOUR)/tests/fuzz/%.o $(FLAVOUR)/tests/fuzz/replay.o $(LIB)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)
fuzz-replay: $(REPLAY_BIN)
	@tests/fuzz/replay.sh $(REPLAY_BIN)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

docs: ringside
	./ringside keys > docs/keys.md
	./ringside manual > docs/ringside.1

compile_commands.json: Makefile
	@tests/compile_commands.sh $(CORE_SRC) $(UI_SRC) tui/main.c -- $(CC) $(ALL_CFLAGS) > $@

deps:
	@tests/deps.sh $(PACKAGES) $(TEST_PACKAGES)

demo:
	@$(MAKE) --no-print-directory -j$$(nproc) ringside
	@recipes/demo.sh ./ringside

install: ringside
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/ringside $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 ringside $(DESTDIR)$(PREFIX)/bin/ringside
	install -m 644 docs/ringside.1 $(DESTDIR)$(PREFIX)/share/man/man1/ringside.1
	cp -r recipes $(DESTDIR)$(PREFIX)/share/ringside/

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/bin/ringside $(DESTDIR)$(PREFIX)/share/ringside \
	  $(DESTDIR)$(PREFIX)/share/man/man1/ringside.1

clean:
	rm -rf $(BUILD) ringside

help:
	@echo "make [all]      ./ringside                    make deps demo   install packages, build, run the demo"
	@echo "make test       unit tests                    make deps check  install packages, build, all tests"
	@echo "make sanitize   unit tests under sanitizers   make bench       ratios against the machine's own speed"
	@echo "make fuzz       libFuzzer, 60 s a target      make fuzz-replay the committed corpora"
	@echo "make snap       rewrite screen snapshots      make lint        layering, headers, shell"
	@echo "make install    PREFIX=/usr/local DESTDIR=    make format docs clean uninstall"
	@echo "variables: CC=clang SAN=address,undefined|thread WERROR=1 V=1 BUILD=folder CFLAGS="

-include $(patsubst %.o,%.d,$(CORE_OBJ) $(UI_OBJ) $(FLAVOUR)/tui/main.o) $(TEST_BIN:=.d) $(UI_TEST_BIN:=.d) $(BENCH_BIN:=.d) $(SYNTHETIC:=.d) $(REPLAY_BIN:=.d)
.SECONDARY:
