#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Connections that block and that do not, polled, refused, interrupted and given up at any
# moment: each ends in time, leaves nothing behind, and the next one works.
. /share/tests/vm/lib.sh
rxe_up "${portal%:*}"
lio_up
load_driver
modprobe -a scsi_transport_iscsi libiscsi sd_mod || fail "no iSCSI in this kernel"
backstore d0 fileio /tmp/d0 16
must "fill" dd if=/dev/urandom of=/tmp/d0 bs=1M count=16 conv=notrunc
lio_target $iqn
lio_lun $iqn 0 d0
# It answers ARP, so to say, and nothing else.
must "a black hole" ip neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev eth0
must "a network without RDMA" ip link add plain0 type dummy
must "a network without RDMA" ip addr add 10.9.0.9/24 dev plain0
must "a network without RDMA" ip link set plain0 up
python3 $here/control/endpoint.py "$portal" $iqn 10.0.0.77 3>&- 4>&- || fail "endpoints"
if [ "$DRIVER" = ib_iser_rs ]; then
	said() { dmesg | grep -c "ib_iser_rs: $1"; }
	equal "lines about refusals" 4 "$(said '10.0.0.1:3999: cannot connect, at answer of the portal: refused')"
	equal "lines about digests" 10 "$(said "$portal (session [0-9]*): HeaderDigest must not be used with iSER, see node.conn.0..iscsi")"
	equal "lines about what was given up" 0 "$(said '10.0.0.77:3260')"
fi
