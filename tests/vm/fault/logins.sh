#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Logins and logouts, half of them interrupted, 120 or, for long, 2000: the kernel has as many
# RDMA, iSCSI and SCSI objects afterwards as before, and neither slabs nor pages became more.
#
# With SLUB's checks what CPUs keep for the next allocations (sheaves) does not count as used, which
# is 48 objects of 96 bytes now and then. DAMON splits what it watches into more regions by itself.
# guest: --append "slab_nomerge slab_debug=F damon_stat.enabled=N" --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
quick_up
faults logins "$(soak 120 2000)"
injected $faults "logins interrupted"
