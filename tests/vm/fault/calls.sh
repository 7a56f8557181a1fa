#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Each call of the verbs, of the connection manager and of libiscsi fails once, in a session that
# connects, logs in, writes, reads and ends: it fails with an error or works, nothing is left of
# it, and the next one works.
# module: fail_call
# guest: --limit 900
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
modprobe fail_call || fail "no fail_call"
quick_up
# The core warns of a drain whose own work request could not be posted, as it was made to.
known_reports="$known_reports|WARNING: drivers/infiniband/core/verbs[.]c:[0-9]+ at __ib_drain_[sr]q[+]"
calls="__rdma_create_kernel_id=ENOMEM rdma_resolve_addr=ENODEV rdma_resolve_route=EINVAL
	rdma_connect_locked=ENOMEM rdma_create_qp=ENOMEM rdma_disconnect=EINVAL
	__ib_alloc_pd=ENOMEM ib_cq_pool_get=ENOMEM ib_alloc_mr=ENOMEM ib_map_mr_sg=ENOMEM
	ib_dma_virt_map_sg=0 rxe_post_send=ENOMEM rxe_post_recv=ENOMEM
	iscsi_create_endpoint=0 iscsi_host_alloc=0 iscsi_session_setup=0 iscsi_conn_setup=0
	iscsi_conn_bind=EINVAL iscsi_conn_start=EINVAL"
# Where a mapping of headers or receive buffers is looked at; rxe's never fail.
[ "$DRIVER" = ib_iser ] || calls="$calls iser_rs_dma_mapping_error=1"
# shellcheck disable=SC2086 # Words.
faults fail --every "$(soak 8 1)" io $calls
injected $faults "calls made to fail"
