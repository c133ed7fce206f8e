# SPDX-License-Identifier: Apache-2.0
# The front door; Meson does the building. INSTALL_DEPS=: leaves the machine's packages alone.
BUILD ?= build
PREFIX ?= /usr/local
MESON ?= meson
FUZZ_SECONDS ?= 60
INSTALL_DEPS ?= scripts/install-deps

all: build-deps
	@test -f $(BUILD)/build.ninja || $(MESON) setup $(BUILD)
	@$(MESON) compile -C $(BUILD)

build-deps:
	@$(INSTALL_DEPS) build

demo: all
	@scripts/demo $(BUILD)

check:
	@$(INSTALL_DEPS) build check
	@scripts/run-tests check

check-all:
	@$(INSTALL_DEPS) build check
	@scripts/run-tests all

fuzz:
	@$(INSTALL_DEPS) build check
	@scripts/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

coverage:
	@$(INSTALL_DEPS) build check coverage
	@scripts/coverage

soak: all
	@$(INSTALL_DEPS) check
	@tests/soak/soak

lint: all
	@$(INSTALL_DEPS) lint
	@scripts/lint $(BUILD)

bench: all
	@bench/run $(BENCH_FLAGS)

install: all
	@$(MESON) configure $(BUILD) -Dprefix=$(PREFIX)
	@$(MESON) install -C $(BUILD)

clean:
	rm -rf build build-asan build-clang build-fuzz build-coverage examples/demo/kernel

.PHONY: all build-deps demo check check-all fuzz coverage soak lint bench install clean
