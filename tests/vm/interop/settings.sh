#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Settings of a node record take effect as with any iSCSI target: what is negotiated is what
# goes over the wire, limits of commands limit them, and each timeout is the one that was
# set. The target is one that can be stopped: connections stay, answers do not come.
# guest: --limit 400
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
rxe_up "${portal%:*}"
load_driver
iscsid_up
scripted_target --set InitialR2T=No
discover
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_eh
set_node $iqn node.session.initial_login_retry_max 1
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 0
set_node $iqn node.session.timeo.replacement_timeout 3

attribute() { cat "/sys/class/iscsi_session/$session/$1"; }
target() { kill -s "$1" $scripted; }
in_flight() { awk '{ print $1 + $2 }' "/sys/block/${disk##*/}/inflight"; }

# What is negotiated, and a write of 64 KiB as the target gets it.
negotiate() { # IMMEDIATE INITIAL-R2T FIRST-BURST MAX-BURST IMMEDIATE-BYTES UNSOLICITED-BYTES
	set_node $iqn node.session.iscsi.ImmediateData "$1"
	set_node $iqn node.session.iscsi.InitialR2T "$2"
	set_node $iqn node.session.iscsi.FirstBurstLength "$3"
	set_node $iqn node.session.iscsi.MaxBurstLength "$4"
	connect $iqn
	equal "ImmediateData that is asked for" "$1" "$(seen asked.ImmediateData)"
	equal "InitialR2T" "$2" "$(seen negotiated.InitialR2T)"
	equal "FirstBurstLength" "$3 $3" "$(seen negotiated.FirstBurstLength) $(attribute first_burst_len)"
	equal "MaxBurstLength" "$4 $4" "$(seen negotiated.MaxBurstLength) $(attribute max_burst_len)"
	verified "$1-$2-$3" --bs=64k --size=1m --iodepth=4
	equal "immediate data, ImmediateData=$1" "$5" "$(seen immediate)"
	equal "unsolicited data, InitialR2T=$2" "$6" "$(seen unsolicited)"
	logout $iqn
}
negotiate Yes No 16384 131072 8192 16384
negotiate No No 32768 65536 0 32768
negotiate Yes Yes 65536 262144 8192 0
say "FirstBurstLength, MaxBurstLength, ImmediateData, InitialR2T"

# A target that has stopped keeps what it was sent: so many commands are under way at a time.
under_way() { # CMDS_MAX QUEUE_DEPTH EXPECTED
	set_node $iqn node.session.cmds_max "$1"
	set_node $iqn node.session.queue_depth "$2"
	connect $iqn
	# iscsid sets the disk's depth by itself, later.
	equal "cmd_per_lun" $(($2 < $1 ? $2 : $1)) "$(cat "$(host_of "$session")/cmd_per_lun")"
	udevadm settle
	target STOP
	fio --name=many --filename="$disk" --rw=randread --bs=4k --size=8m --io_size=1m --direct=1 --ioengine=libaio \
		--iodepth=64 --thread --output=$results/fio-many 3>&- 4>&- &
	many=$!
	as_many() { [ "$(in_flight)" -ge "$1" ]; }
	wait_for 30 "$3 commands under way" as_many "$3"
	for _ in {1..20}; do
		as_many $(($3 + 1)) && fail "$(in_flight) commands under way with cmds_max $1 and queue_depth $2"
		sleep 0.02
	done
	target CONT
	wait $many || fail "reads of a target that was stopped"
	logout $iqn
}
under_way 128 8 8
# 15 of the tasks are libiscsi's own.
under_way 32 64 17
set_node $iqn node.session.cmds_max 128
set_node $iqn node.session.queue_depth 32
say "cmds_max, queue_depth"

since() { dmesg | sed "1,${mark}d"; }
mark() { mark=$(dmesg | wc -l); }
logged() { since | grep -q "$1"; }
at() { since | grep -m 1 "$1" | sed 's/^\[ *\([0-9.]*\)\].*/\1/'; }
# between WHAT FROM TO LEAST DEFAULT - that the time between two lines of the log is the one
# that was set: not less, and not as much as if nothing had been set.
between() {
	local took
	logged "$2" && logged "$3" || fail "$1: no '$2' and '$3' in the log: $(since)"
	took=$(elapsed "$(at "$2")" "$(at "$3")")
	awk "BEGIN { exit !($took >= $4 - 0.1 && $took < $5) }" || fail "$1: took $took s, set to $4 (the default is $5)"
	say "$1 $4: $took s"
}

# A ping that is not answered, then no session for a time.
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 2
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 3
connect $iqn
mark
target STOP
! dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct 2>/run/dd || fail "a read from a target that has stopped"
grep -qi error /run/dd || fail "no I/O error: $(cat /run/dd)"
logged "ping timeout of 3 secs expired, recv timeout 2" || fail "pings as set did not notice: $(since)"
between replacement_timeout "detected conn error" "session recovery timed out after 3 secs" 3 120
target CONT
wait_for 60 "the session" logged_in "$session"
logout $iqn
say "noop_out_interval, noop_out_timeout, replacement_timeout"

# Task management that is not answered. Each time the session is given up and made anew.
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 0
set_node $iqn node.session.timeo.replacement_timeout 120
set_node $iqn node.session.err_timeo.abort_timeout 3
set_node $iqn node.session.err_timeo.lu_reset_timeout 5
set_node $iqn node.session.err_timeo.tgt_reset_timeout 4
connect $iqn
in_vain() { # WHAT SECONDS DEFAULT FROM TO COMMAND…
	local what=$1 seconds=$2 default=$3 from=$4 to=$5 command
	shift 5
	mark
	target STOP
	"$@" >/run/command 2>&1 3>&- 4>&- &
	command=$!
	wait_for 60 "$what" logged "$to"
	target CONT
	between "$what" "$from" "$to" "$seconds" "$default"
	wait $command
	wait_for 60 "the session" logged_in "$session"
	echo 30 >"/sys/block/${disk##*/}/device/timeout"
	verified "after $what" --size=256k
}
echo 1 >"/sys/block/${disk##*/}/device/timeout"
in_vain abort_timeout 3 10 "aborting \[sc" "abort failed" dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct
equal "the read in the end" "1+0 records in" "$(grep 'records in' /run/command)"
sg=$(sg_of "$session" 0)
in_vain lu_reset_timeout 5 15 "LU Reset \[sc" "dev reset result = FAILED" sg_reset --device --no-escalate "$sg"
in_vain tgt_reset_timeout 4 30 "tgt Reset \[sc" "tgt .* reset result = FAILED" sg_reset --target --no-escalate "$sg"
logout $iqn

# A login that is not answered.
set_node $iqn 'node.conn[0].timeo.login_timeout' 3
target STOP
begin=$(now)
! timeout 60 iscsiadm -m node -T $iqn -l >/run/refused 2>&1 || fail "login to a target that has stopped"
took=$(elapsed "$begin" "$(now)")
awk "BEGIN { exit !($took >= 3 && $took < 15) }" || fail "login_timeout 3: took $took s: $(cat /run/refused)"
say "login_timeout 3: $took s"
equal "sessions" "" "$(sessions)"
target CONT
connect $iqn
verified "after the timeout" --size=256k
