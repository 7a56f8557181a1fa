# SPDX-License-Identifier: GPL-2.0
# tgt, after lib.sh: a target in user space that takes no immediate data and invalidates no keys.

# tgt_start [PORTAL OF ISCSI] - its daemon, $tgtd.
tgt_start() {
	# It keeps its RDMA buffers in huge pages.
	echo 100 >/proc/sys/vm/nr_hugepages
	tgtd -f --iser pool_sz_mb=128 ${1:+--iscsi "$1"} >>$results/tgtd.log 2>&1 3>&- 4>&- &
	tgtd=$!
	wait_for 60 "tgtd" tgtadm --lld iser --mode sys --op show
}

# tgt_target TRANSPORT TID IQN FILE - with that file as LUN 1. A target is for one transport; two
# of them may have the same file.
tgt_target() {
	local tgt=(tgtadm --lld "$1" --tid "$2") bind
	bind=(tgtadm --lld "$1" --mode target --op bind --tid "$2")
	must "a target" "${tgt[@]}" --mode target --op new -T "$3"
	must "a lun" "${tgt[@]}" --mode logicalunit --op new --lun 1 -b "$4"
	must "open to all" "${bind[@]}" -I ALL
	# Without this SendTargets does not name it.
	must "open to us" "${bind[@]}" -Q "${initiator:-iqn.1993-08.org.debian:01:guest}"
}

# tgt_discover [PORTAL] - tgtd 1.0.85 closes a connection whose next request it takes in before the
# completion of its own login response.
tgt_discover() {
	ask_for_targets "$@" && return
	grep -q 'non-login pdu during login phase' $results/tgtd.log || fail "discovery: $(cat $results/discovery)"
	say "tgtd has not noticed that the login was over; once more"
	discover "$@"
}
