#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A target that is not like Linux's: accepts without private data, never invalidates a key,
# takes no immediate data or little, and segments of 512 bytes, and has several portals.
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
rxe_up "${portal%:*}"
ip addr add 10.0.0.3/24 dev eth0
load_driver
iscsid_up

try() { # IMMEDIATE INITIAL-R2T FIRST-BURST IMMEDIATE-BYTES UNSOLICITED-BYTES
	local what="ImmediateData=$1, InitialR2T=$2, FirstBurstLength=$3"
	scripted_target --like scst --address 10.0.0.3 --set "ImmediateData=$1" --set "InitialR2T=$2" --set "FirstBurstLength=$3"
	discover
	equal "portals" "10.0.0.1:3261,1 10.0.0.3:3261,1" "$(cut -d' ' -f1 $results/targets | sort | xargs)"
	set_node $iqn node.session.iscsi.InitialR2T "$2"
	# It has 64 receives, into which 16 Data-Out PDUs of each command have to go.
	set_node $iqn node.session.queue_depth "$([ "$2" = Yes ] && echo 32 || echo 3)"
	set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
	set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 0
	connect $iqn
	equal "sessions, one by each portal" 2 "$(sessions | wc -l)"
	equal "ImmediateData" "$1" "$(seen negotiated.ImmediateData)"
	equal "what the target takes at a time" 512 \
		"$(cat "/sys/class/iscsi_connection/connection${session#session}:0/max_xmit_dlength")"
	# The last session is the other one for the target: each of them does something.
	for session in $(sessions); do
		wait_for 60 "disk of $session" disk_of "$session" 0
		disk=$(disk_of "$session" 0)
		sizes 1m 512 1k 4k 8k 60k 64k 128k 512k
		verified "$what by $session" --iodepth=4 "${jobs[@]}"
	done
	equal "$what: immediate data" "$4" "$(seen immediate)"
	equal "$what: unsolicited data" "$5" "$(seen unsolicited)"
	equal "$what: largest Data-Out" "$(($5 ? 512 : 0))" "$(seen segment)"
	must "reset of the LUN" sg_reset --device --no-escalate "$(sg_of "$session" 0)"
	verified "after the reset" --size=256k
	# shellcheck disable=SC2046 # Names without spaces.
	kept $(sessions)
	say "$what: verified by two portals"
}
end() {
	must logout iscsiadm -m node -u
	kill $scripted
	! wait $scripted 2>/dev/null
}
try No Yes 65536 0 0
# The connections end under I/O, and come back.
traffic_start --size=1m
for n in 1 2; do
	before=$(ask_target state | grep -o '"count": [0-9]*' | tr -dc 0-9)
	ask_target hang_up >/dev/null
	came_back() { [ "$(ask_target state | grep -o '"count": [0-9]*' | tr -dc 0-9)" -ge $((before + 2)) ]; }
	wait_for 60 "both connections" came_back
	for s in $(sessions); do wait_for 60 "$s" logged_in "$s"; done
	traffic_moves
done
traffic_stop
end
try Yes Yes 65536 512 0
end
try No No 8192 0 8192
end
try Yes No 8192 512 8192
end
