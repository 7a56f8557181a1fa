#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Memory runs out at the 1st, 2nd, 3rd, … allocation of load, connect, bind, login and
# teardown: that fails with an error or works, nothing is left of it, no memory is lost, and
# the next one works.
# kernel: debug
# by name: takes the debug kernel, which make test does not build yet
# module: fail_call
# guest: --limit 900
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
load_driver
unload_driver
modprobe -a fail_call rdma_cm libiscsi || fail "no fail_call"
# The allocator shows who calls it when it fails, which is no report of something wrong.
kernel_reports=${kernel_reports/Call Trace:|/}
every=40
failing load should_failslab=ENOMEM should_fail_alloc_page=1
failing_up
failing session should_failslab=ENOMEM should_fail_alloc_page=1
injected $faults "allocations made to fail"
