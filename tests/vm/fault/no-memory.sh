#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Each allocation of the driver's own fails once, at load, connect, bind and login: user space
# gets an error, the kernel's log one line that says of which portal, nothing is left of it, and
# the next one works.
# only: ib_iser_rs
# module: fail_call
# guest: --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
load_driver
unload_driver
modprobe -a fail_call rdma_cm libiscsi || fail "no fail_call"
# Each failure is to be said.
echo options ib_iser_rs log_limit=0 >/etc/modprobe.d/log.conf
faults fail --said load krealloc_node_align_noprof=0 alloc_workqueue_noprof=0
quick_up
faults fail --inside --said session krealloc_node_align_noprof=0 kvrealloc_node_align_noprof=0
injected $faults "allocations made to fail"
