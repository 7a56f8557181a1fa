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
# Any word: a short benchmark. Options of tests/bench/run.
QUICK ?=
BENCH ?=
# PDUs that make fuzz sends.
COUNT ?= 100000
# The kernel that make fuzz boots: debug, which watches, or stock, which is many times as fast.
ON ?= debug
# Where tools are installed.
PREFIX ?= /usr/local

MAKEFLAGS += --no-print-directory

all: module

help:
	@echo 'All as root. What is needed is installed by apt.'
	@echo
	@echo 'make                   build/ib_iser_rs.ko for the running kernel if that is a supported'
	@echo "                       one (Debian's series 7.3), else for the one of trixie-backports"
	@echo 'make KDIR=<tree>       ... for a kernel tree that has Rust metadata'
	@echo 'make install           what make has built, into /lib/modules/<release>/updates (KDIR= as above)'
	@echo 'make uninstall'
	@echo 'make deb               build/ib-iser-rs-dkms_*.deb, which DKMS builds for each kernel, and'
	@echo '                       build/iser-stat_*.deb'
	@echo 'make tools             build/iser-stat and its manual page'
	@echo 'make install-tools     these under PREFIX=$(PREFIX)'
	@echo 'make demo              in QEMU: a target, a login, verified I/O, a file system'
	@echo 'make test              all tests; TESTS="io recovery/link" some of them; LIST=1 lists'
	@echo '                       them; results, consoles and kernel logs are in build/test'
	@echo '    DRIVER=ib_iser     demo and test with the driver of the kernel in C'
	@echo '    JOBS=1             how many guests run at a time, 2 if not set'
	@echo 'make soak              the tests of faults, each for hours; TESTS= as above'
	@echo 'make bench             both drivers measured in one boot; QUICK=1 less of it, six minutes;'
	@echo '                       results and plots are in build/bench'
	@echo 'make fuzz              a target that sends random PDUs, COUNT=$(COUNT) of them, from SEED=,'
	@echo '                       to a kernel with KASAN and lockdep; ON=stock to the stock kernel, faster'
	@echo 'make clean             removes build/'
	@echo 'make clean-cache       removes what is kept for the next time (build root, guest images)'
	@echo
	@echo 'scripts/guest FILE     runs a script of yours in a guest, see scripts/guest --help'
	@echo 'scripts/in-buildroot   runs a command in the build root'

ifeq ($(filter ib_iser ib_iser_rs,$(DRIVER)),)
$(error DRIVER=$(DRIVER): there is ib_iser_rs, and ib_iser of the kernel)
endif
ifeq ($(filter debug stock,$(ON)),)
$(error ON=$(ON): make fuzz has the kernels debug and stock)
endif

module:
	@scripts/build-module $(or $(KDIR),auto)

# What the guests load is always built for the kernel that they boot.
guest-module:
	@scripts/build-module stock

install:
	@scripts/install-module $(KDIR)

uninstall:
	@scripts/install-module --remove $(KDIR)

deb:
	@scripts/package

guest-module-if-ours: $(if $(filter ib_iser,$(DRIVER)),,guest-module)

tools:
	@scripts/build-tools

install-tools:
	@[ -f build/iser-stat ] || { echo "run 'make tools' first" >&2; exit 1; }
	install -D -m 755 build/iser-stat $(DESTDIR)$(PREFIX)/sbin/iser-stat
	install -D -m 644 build/iser-stat.8 $(DESTDIR)$(PREFIX)/share/man/man8/iser-stat.8

demo: guest-module-if-ours
	@scripts/guest --dir build/demo --env DRIVER=$(DRIVER) tests/vm/demo.sh

test:
	@DRIVER=$(DRIVER) tests/run $(if $(LIST),--list) $(TESTS)

soak:
	@DRIVER=$(DRIVER) SOAK=1 tests/run $(if $(LIST),--list) $(or $(TESTS),fault)

fuzz:
	$(if $(filter ib_iser,$(DRIVER)),,@scripts/build-module $(ON) >/dev/null)
	@scripts/guest --dir build/fuzz --limit 86400 $(if $(filter debug,$(ON)),--kernel debug) \
		--env DRIVER=$(DRIVER) --env COUNT=$(COUNT) --env SEED=$(SEED) tests/vm/hostile/fuzz.sh

bench: guest-module
	@tests/bench/run $(if $(QUICK),--quick) $(BENCH)

clean:
	rm -rf build

clean-cache:
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/ib_iser_rs"

.PHONY: deb all help module guest-module guest-module-if-ours install uninstall tools install-tools demo test soak bench fuzz clean clean-cache
