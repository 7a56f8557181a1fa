#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs the tests that it is given, one after the other, in one guest, each as if that had
# just been booted; for tests/run, which reads the lines with ###. What a test leaves in
# the kernel is taken away behind it; what cannot be taken away, or is reported then,
# fails that test. The sequence ends if the guest is not fit for another.
no_end=1
. /share/tests/vm/lib.sh
kept="/etc/iscsi /etc/modprobe.d /var/lib/iscsi"
cgroup=/sys/fs/cgroup/test

# What was there before the first test.
modules() { lsmod | cut -d' ' -f1 | grep -v '^Module$' | sort; }
links() { ls /sys/class/net | sort; }
files() { ls -A /run | sort; }
was() { for what in modules links files; do $what >"/var/was-$what"; done; }
new() { "$1" | comm -13 "/var/was-$1" -; }

# All that a test has started is in its cgroup.
kill_all() {
	echo 1 >$cgroup/cgroup.kill
	wait_for 60 "the end of the test's processes" grep -qx 'populated 0' $cgroup/cgroup.events
	rmdir $cgroup
}

lio_down() {
	local tpg
	[ -d $config/target/iscsi ] || return 0
	for tpg in $config/target/iscsi/*/tpgt_1/enable; do
		[ ! -e "$tpg" ] || echo 0 >"$tpg"
	done
	# Links of ACLs, then those of LUNs to their devices; the folders that the kernel itself
	# made stay, and go with those around them.
	find $config/target/iscsi -path '*/acls/*' -type l -delete
	find $config/target/iscsi -type l -delete
	find $config/target/iscsi $core/*_* -depth -type d -delete 2>/dev/null
	umount $config
}

unload_modules() {
	local all left
	all=$(new modules)
	while [ -n "$all" ]; do
		# shellcheck disable=SC2086 # Names without spaces.
		rmmod $all 2>/run/rmmod
		left=$(new modules)
		[ "$left" != "$all" ] || fail "cannot be unloaded after the test: $(paste -sd' ' /run/rmmod)"
		all=$left
	done
}

as_booted() {
	local l
	kill_all
	lio_down
	for l in /sys/class/infiniband/*; do
		[ ! -e "$l" ] || rdma link delete "${l##*/}"
	done
	for l in $(new links); do ip link delete "$l"; done
	for l in /sys/class/net/eth*; do
		tc qdisc del dev "${l##*/}" root 2>/dev/null
		ip addr flush dev "${l##*/}" && ip neigh flush dev "${l##*/}" nud all && ip link set "${l##*/}" down
	done
	! command -v dmsetup >/dev/null || dmsetup remove_all
	losetup -D
	unload_modules
	# quiet ends udevd, unwatched gives it a rule.
	rm -rf /run/udev/rules.d
	if pidof -q systemd-udevd; then udevadm control --reload; else /usr/lib/systemd/systemd-udevd --daemon 3>&- 4>&-; fi
	for l in ${PEERS:-}; do vm_kill "$l" && vm_start "$l" >/dev/null; done
	[ ! -w /sys/kernel/debug/kmemleak ] || echo clear >/sys/kernel/debug/kmemleak
	# shellcheck disable=SC2086 # Names without spaces.
	rm -rf /tmp/* $kept && tar -xf /var/was.tar -C /
	for l in $(new files); do rm -rf "/run/$l"; done
}

run() { # GROUP/TEST
	local rc peer text
	dmesg -C
	(
		[ ! -d $cgroup ] || echo $BASHPID >$cgroup/cgroup.procs
		exec bash "$here/$1.sh"
	)
	rc=$?
	dmesg >$results/dmesg-initiator
	for peer in ${PEERS:-}; do
		# One that a test has left dead says nothing.
		host on "$peer" dmesg >"$results/dmesg-$peer" 2>&1 || continue
		if text=$(reports cat "$results/dmesg-$peer"); then
			say "FAILED: the kernel of $peer reported (all of it is in dmesg-$peer):"
			head -n 20 <<<"$text"
			[ $rc != 0 ] && [ $rc != 77 ] || rc=1
		fi
	done
	return $rc
}

# keep GROUP/TEST - its results, out of the way of the next one's.
keep() {
	mkdir -p "/var/results/$1"
	mv $results/* "/var/results/$1"
}

was
# shellcheck disable=SC2086 # Names without spaces.
tar -cf /var/was.tar --ignore-failed-read $kept 2>/dev/null
while [ $# -gt 0 ]; do
	[ $# = 1 ] || mkdir $cgroup
	echo "### begin $1"
	run "$1"
	status=$?
	keep "$1"
	if [ $# -gt 1 ]; then
		dmesg -C
		if ! (as_booted) || [ -n "$(reports)" ]; then
			say "FAILED: after the test: $(reports | head -n 20)"
			dmesg >"/var/results/$1/dmesg-afterwards"
			status=1
			set -- "$1"
		fi
	fi
	echo "### end $1 $status"
	shift
done
mv /var/results/* $results
