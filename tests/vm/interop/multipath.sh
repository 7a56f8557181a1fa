#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# dm-multipath over two portals: one goes away and returns under verified I/O, with nothing
# lost. The time from the loss to the first I/O by the other path is measured with ib_iser
# and with ib_iser_rs, and reported.
# guest: --peer target --links 2 --disk 64M --limit 500
# only: ib_iser_rs
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
rxe_up 10.0.0.1 eth0
rxe_up 10.0.1.1 eth1
must "target in the other guest" on target "
	rxe_up 10.0.0.2 eth0 && rxe_up 10.0.1.2 eth1 && lio_up && backstore d0 iblock \$(disk disk0) &&
	lio_target $iqn 10.0.0.2:3260 && lio_lun $iqn 0 d0 &&
	mkdir $config/target/iscsi/$iqn/tpgt_1/np/10.0.1.2:3260 &&
	lio_set $iqn np/10.0.1.2:3260/iser 1"
cat >/etc/multipath.conf <<'END'
defaults {
	find_multipaths no
	path_grouping_policy failover
	prio const
	path_checker tur
	polling_interval 1
	max_polling_interval 2
	no_path_retry queue
	user_friendly_names yes
	failback manual
	fast_io_fail_tmo 5
}
blacklist {
	devnode "^vd"
}
END
modprobe -a dm_multipath dm_service_time dm_round_robin dm_queue_length 2>/dev/null
iscsid_up
load_driver
multipathd 3>&- 4>&- || fail "multipathd does not start"

map_of() { local m; m=$(echo /sys/block/dm-*) && [ -d "$m" ] && echo "/dev/${m##*/}"; }
paths() { ls "/sys/block/${disk##*/}/slaves" 2>/dev/null; }
two_paths() { disk=$(map_of) && [ "$(paths | wc -l)" = 2 ]; }
written() { awk '{ print $7 }' "/sys/block/$1/stat"; }
good_paths() { [ "$(multipathd show paths raw format '%t' | grep -c '^active')" = 2 ]; }

# fail_over - takes the link of the path in use, and says how long it was to the first write
# by the other one; then the link returns.
fail_over() {
	local a b before link lost first
	read -r -d '' a b < <(paths)
	before=$(written "$a")
	traffic_moves
	if [ "$(written "$a")" = "$before" ]; then
		read -r a b <<<"$b $a"
	fi
	before=$(written "$b")
	link=$(link_of "$a")
	vm_link target off "$link"
	lost=$(now)
	moved() { [ "$(written "$b")" -gt "$before" ]; }
	wait_for 120 "I/O by the other path" moved
	first=$(now)
	say "$DRIVER: $(elapsed "$lost" "$first") s from the loss of link $link to the first write by the other path"
	echo "$DRIVER $(elapsed "$lost" "$first")" >>$results/failover
	traffic_moves
	vm_link target on "$link"
	wait_for 120 "both paths" good_paths
	traffic_moves
}
# The number of the link by which a path's disk is reached: 10.0.N.2.
link_of() {
	local s address
	for s in $(sessions); do
		if [ "$(disk_of "$s" 0)" = "/dev/$1" ]; then
			address=$(<"/sys/class/iscsi_connection/connection${s#session}:0/address")
			address=${address#10.0.}
			echo "${address%.2}"
		fi
	done
}

for driver in ib_iser ib_iser_rs; do
	use_driver $driver
	discover 10.0.0.2:3260
	set_node $iqn node.session.timeo.replacement_timeout 5
	set_node $iqn 'node.conn[0].timeo.noop_out_interval' 5
	set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 5
	login $iqn
	equal "sessions" 2 "$(sessions | wc -l)"
	wait_for 60 "a map of two paths" two_paths
	wait_for 60 "two good paths" good_paths
	say "$driver: $disk over $(paths | xargs)"
	traffic_start --size=1m --numjobs=1
	for _ in $(seq "$(soak 1 6)"); do fail_over; done
	traffic_stop
	blockdev --flushbufs "$disk"
	equal "content of the target's disk" "$(sha256sum <"$disk")" "$(on target 'd=$(disk disk0); blockdev --flushbufs "$d"; sha256sum <"$d"')"
	wait_for 30 "end of the map" multipath -f "${disk##*/}"
	logout $iqn
done
cat $results/failover
# It may end before it has answered the request, whose status says nothing then.
multipathd shutdown >/dev/null
no_multipathd() { ! pgrep -x multipathd; }
wait_for 30 "end of multipathd" no_multipathd
