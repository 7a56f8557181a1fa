# SPDX-License-Identifier: GPL-2.0
#
# What a person types. The module itself is built by kbuild, see Kbuild.

# A kernel tree with Rust metadata to build for, instead of the running kernel.
KDIR ?=
# The driver that the guests load: ib_iser_rs, or C's ib_iser for comparison.
DRIVER ?= ib_iser_rs
# Groups (io) and tests (io/basic) to run, all of them if empty.
TESTS ?=
LIST ?=
# PDUs that make fuzz sends.
COUNT ?= 100000

MAKEFLAGS += --no-print-directory

all: module

help:
	@echo 'make                   build/ib_iser_rs.ko for the running kernel if that is a supported'
	@echo '                       stock Debian kernel, else for the one of trixie-backports'
	@echo 'make KDIR=<tree>       ... for a kernel tree that has Rust metadata'
	@echo 'make install           into /lib/modules/<release>/updates (KDIR= as above)'
	@echo 'make uninstall'
	@echo 'make demo              in QEMU: a target, a login, verified I/O, a file system'
	@echo 'make test              all tests; TESTS="io recovery/link" some of them; LIST=1 lists'
	@echo '                       them; results, consoles and kernel logs are in build/test'
	@echo '    DRIVER=ib_iser     demo and test with the driver of the kernel in C'
	@echo 'make soak              the tests of faults, each of them for long (hours); TESTS= as above'
	@echo 'make fuzz               a target that sends PDUs by chance, COUNT=$(COUNT) of them'
	@echo 'make clean             removes build/'
	@echo 'make clean-cache       removes what was made once (build root, guest images)'
	@echo
	@echo 'scripts/guest FILE     runs a script of yours in a guest, see scripts/guest --help'
	@echo 'scripts/in-buildroot   runs a command in the build root'

module:
	@scripts/build-module $(or $(KDIR),auto)

# What the guests load is always built for the kernel that they boot.
guest-module:
	@scripts/build-module stock

install:
	@scripts/install-module $(KDIR)

uninstall:
	@scripts/install-module --remove $(KDIR)

guest-module-if-ours: $(if $(filter ib_iser,$(DRIVER)),,guest-module)

demo: guest-module-if-ours
	@scripts/guest --dir build/demo --env DRIVER=$(DRIVER) tests/vm/demo.sh

test:
	@DRIVER=$(DRIVER) tests/run $(if $(LIST),--list) $(TESTS)

soak:
	@DRIVER=$(DRIVER) SOAK=1 tests/run $(or $(TESTS),fault)

fuzz: guest-module-if-ours
	@scripts/guest --dir build/fuzz --limit 14400 --env DRIVER=$(DRIVER) --env COUNT=$(COUNT) \
		--env SEED=$(SEED) tests/vm/hostile/fuzz.sh

clean:
	rm -rf build

clean-cache:
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/ib_iser_rs"

.PHONY: all help module guest-module guest-module-if-ours install uninstall demo test soak fuzz clean clean-cache
