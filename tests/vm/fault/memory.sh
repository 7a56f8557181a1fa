#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Memory runs out at the 1st, 2nd, 3rd, … allocation of load, connect, bind, login and
# teardown: that fails with an error or works, nothing is left of it, no memory is lost, and
# the next one works.
# kernel: debug
# module: fail_call
# guest: --by-turns --limit 900
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
load_driver
unload_driver
modprobe -a fail_call rdma_cm libiscsi || fail "no fail_call"
# The allocator shows who calls it when it fails, which is no report of something wrong.
kernel_reports=${kernel_reports/Call Trace:|/}
# The kernel warns of any module with tracepoints whose event's fields it finds no memory for
# (kernel/trace/trace_events.c: WARN_ON_ONCE(ret)); this happens while the module is loaded.
known_reports="$known_reports|WARNING: kernel/trace/trace_events[.]c:[0-9]+ at event_define_fields[+]"
# Without memory for a class of a new host (drivers/base/attribute_container.c: "failed to allocate
# class container") the transport class never initialises the mutex that it locks at the end. Not
# tried with ib_iser: iscsi_setup_host() alone initialises it.
known_reports="$known_reports|DEBUG_LOCKS_WARN_ON[(]lock->magic != lock[)].*WARNING: kernel/locking/mutex[.]c:[0-9]+ at __mutex_lock[+].* __iscsi_unbind_session[+]"
# All of them would take five hours; each long run begins with another one.
every=$(soak 60 12)
faults fail --every "$every" load should_failslab=ENOMEM should_fail_alloc_page=1
quick_up
faults fail --every "$every" session should_failslab=ENOMEM should_fail_alloc_page=1
injected $faults "allocations made to fail"
