#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every counter, the slots in flight, the latencies and the tracepoints of commands, held against
# I/O of known number and size.
# only: ib_iser_rs
. /share/tests/vm/lib.sh
. /share/tests/vm/observe.sh
. /share/tests/vm/bench.sh
slow_target
equal "latency at first" 0 "$(cat $seen/latency)"
discover
equal "connections after a discovery" 0 "$(find $seen -name 'connection-*' | wc -l)"
equal "connections made by it" 1 "$(total connections_made)"
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 0
connect $iqn
quiet

dir=$(connection_of "$session")
for expected in target=$iqn portal=$portal source=10.0.0.1 device=rxe_eth0 port=1 state=up \
	type=normal "session=${session#session}" connection=0 remote_invalidation=yes \
	immediate_data=yes initial_r2t=yes max_data_segment=8192 last_error=none failures=0 reconnects=0; do
	equal "info: ${expected%%=*}" "${expected#*=}" "$(info "$dir" "${expected%%=*}")"
done
[ -d "/sys/class/scsi_host/host$(info "$dir" host)/device/$session" ] || fail "info: host"
rdma resource show qp | grep -q "lqpn $(info "$dir" qp) " || fail "info: qp $(info "$dir" qp)"
slots=$(info "$dir" slots)
equal "receives in the queue" 0 $(($(counter "$dir" receives_posted) < slots))

# io READ|WRITE KIB COUNT - so many commands of that size, one after the other.
io() {
	local kind=$1 way=(if="$disk" of=/dev/null iflag=direct)
	[ "$kind" = read ] || way=(if=/dev/zero of="$disk" oflag=direct)
	must "$kind" dd "${way[@]}" bs="$2k" count="$3"
	settled
}

# turs COUNT - so many commands without data.
turs() {
	must "test unit ready" python3 - "$(sg_of "$session" 0)" "$1" <<-'EOT'
		import sys
		sys.path.insert(0, "/share/tests/vm")
		import sgio
		device = sgio.Device(sys.argv[1])
		for _ in range(int(sys.argv[2])):
		    result = device.command(bytes(6))
		    assert not result.status and not result.host_status, result
	EOT
	settled
}

# What comes with any command, and with what is registered. A response that overtakes the call that
# posts its command is not believed to have invalidated the key, which then is done here as well.
sends() {
	local sent received again
	sent=$(($1 + $(grown control_pdus_sent))) received=$(($1 + $(grown control_pdus_received)))
	again=$(grown wr_local_inv)
	[ "$again" -le $(($1 / 5)) ] || fail "$what: $again local invalidations"
	echo "responses=$1 wr_send=$sent doorbells_send=$((sent + again)) completions_receive=$received"
	echo "wr_local_inv=$again local_invalidations=$again"
	echo "control_pdus_sent control_pdus_received wr_receive doorbells_receive completions_send"
}
registers() { echo "registered_commands=$1 wr_reg=$1 remote_invalidations=$1"; }

what="reads of 64 KiB"
snapshot "$dir"
io read 64 100
# shellcheck disable=SC2046 # Words.
grows commands_read=100 bytes_read=6553600 $(sends 100) $(registers 100)

what="writes of 4 KiB"
snapshot "$dir"
io write 4 100
# shellcheck disable=SC2046
grows commands_write=100 bytes_write=409600 immediate_commands=100 immediate_bytes=409600 $(sends 100)
[ "$(grown completions_send)" -ge 100 ] || fail "$what: $(grown completions_send) completions of sends"

what="writes of 64 KiB"
snapshot "$dir"
io write 64 100
# shellcheck disable=SC2046
grows commands_write=100 bytes_write=6553600 immediate_commands=100 immediate_bytes=819200 \
	$(sends 100) $(registers 100)

what="commands without data"
snapshot "$dir"
turs 20
# shellcheck disable=SC2046
grows commands_none=20 $(sends 20)
[ "$(grown doorbells_receive)" -lt 20 ] || fail "$what: receives are not posted in batches"
equal "receives for each call that posts them" $((16 * $(grown doorbells_receive))) "$(grown wr_receive)"
equal "receives in the queue" "$(counter "$dir" receives_posted)" \
	$(($(counter "$dir" wr_receive) - $(counter "$dir" completions_receive)))
say "counters; $(counter "$dir" local_invalidations) of $(counter "$dir" remote_invalidations) responses have overtaken"

# Latencies: off until now, then as many as there are commands, then off again.
equal "latencies while off" "" "$(cat "$dir/latency")"
echo 1 >$seen/latency
io read 4 50
io write 4 30
echo 0 >$seen/latency
io read 4 50
measured() { awk -v way="$1" '$1 == way { n += $4 } END { print n + 0 }' "$dir/latency"; }
equal "reads measured" 50 "$(measured read)"
equal "writes measured" 30 "$(measured write)"
awk '$2 >= $3 || $2 < last[$1] { exit 1 } { last[$1] = $3 }
	$3 - $2 > $2 / 16 + 1 { exit 1 }' "$dir/latency" || fail "buckets: $(cat "$dir/latency")"
say "latencies: $(wc -l <"$dir/latency") buckets"

# What is in flight, while the target's disk stands still.
must "stop the target's disk" dmsetup suspend --noflush --nolockfs d0
# Not next to each other: the block layer might make one command of them.
for n in 8 16 24; do
	dd if="$disk" of=/dev/null bs=16k count=1 skip=$n iflag=direct 2>/dev/null 3>&- 4>&- &
done
hung() { [ "$(awk '$3 == "posted" && $4 == "read" && $5 == 16384 && $6 >= 2000' "$dir/slots" | wc -l)" = 3 ]; }
wait_for 60 "three old commands in the slots" hung
cp "$dir/slots" $results/slots
equal "columns" "slot itt state direction bytes age_ms" "$(head -n 1 "$dir/slots")"
must "let the target's disk go on" dmsetup resume --noudevsync d0
wait
idle() { [ "$(wc -l <"$dir/slots")" = 1 ]; }
wait_for 60 "empty slots" idle
say "slots in flight"

# Tracepoints of commands, by tracefs; and by name for the tools.
scattered_pages
# odd - commands that transfer less than they are for, more, and that are refused; what is missing of each.
odd() {
	python3 - "$(sg_of "$session" 0)" <<-'EOT'
		import sys
		sys.path.insert(0, "/share/tests/vm")
		import sgio
		device = sgio.Device(sys.argv[1])
		for cdb, size, status in (([0x12, 0, 0, 0, 255, 0], 255, 0), (sgio.read16(8, 2), 4096, 0),
		                          (sgio.read16(8, 8), 1024, 0), ([0xc1] + [0] * 9, 0, 2)):
		    result = device.command(cdb, sgio.IN if size else sgio.NONE, size)
		    assert result.status == status and not result.host_status, result
		    print(result.resid if status == 0 else "refused")
	EOT
}
trace_start command_posted response
io read 64 20
io write 4 10
io write 64 6
turs 5
must "writes in segments" fio --name=scattered --filename="$disk" --rw=write --bs=8k --number_ios=7 --size=56k --thread \
	--direct=1 --ioengine=psync $scattered
settled
events command_posted >/run/posted
events response >/run/responses
trace_start command_posted response
odd >/run/missing || fail "odd commands"
settled
events response >/run/odd
echo 0 >$tracing/events/enable
equal "what is missing of an INQUIRY" "$(sed -n 1p /run/missing)" "$(sed -n '1s/.* residual=\([1-9][0-9]*\) .*/\1/p' /run/odd)"
count_of "a read of 1 KiB into 4" 1 'response=0x00 status=0x00 residual=3072 invalidated=remotely$' </run/odd
count_of "a read of 4 KiB into 1" 1 'residual=-3072 ' </run/odd
count_of "what is refused" 1 'response=0x00 status=0x02 residual=0 invalidated=none$' </run/odd
count_of "reads posted" 20 ' read bytes=65536 segments=[0-9]+ immediate=0 unsolicited=0 registered=1 stag=0x[1-9a-f]' </run/posted
count_of "writes posted" 10 ' write bytes=4096 segments=1 immediate=4096 unsolicited=0 registered=0 stag=0x0$' </run/posted
count_of "long writes posted" 6 ' write bytes=65536 segments=[0-9]+ immediate=8192 unsolicited=0 registered=1 stag=0x[1-9a-f]' </run/posted
count_of "writes in segments" 7 ' write bytes=8192 segments=2 immediate=8192 unsolicited=0 registered=0 stag=0x0$' </run/posted
count_of "others posted" 5 ' none bytes=0 segments=0 immediate=0 unsolicited=0 registered=0 ' </run/posted
count_of "responses" 48 'response=0x00 status=0x00 residual=0' </run/responses
count_of "remotely invalidated" 26 'invalidated=remotely' </run/responses
count_of "not registered" 22 'invalidated=none' </run/responses
tags() { grep -oE 'itt=0x[0-9a-f]+' "$1" | sort; }
equal "tags that were answered" "$(tags /run/posted)" "$(tags /run/responses)"
must "perf" perf stat -o /run/perf -e iser_rs:command_posted -a dd if="$disk" of=/dev/null bs=4k count=40 iflag=direct
count_of "commands that perf counts" 1 '^ +40 +iser_rs:command_posted' </run/perf
must "trace-cmd" trace-cmd record -q -o /run/trace.dat -e iser_rs:response dd if="$disk" of=/dev/null bs=4k count=40 iflag=direct
trace-cmd report -i /run/trace.dat 2>/dev/null >/run/report
count_of "responses that trace-cmd shows" 40 'response: .*status=0x00' </run/report
bpftrace -e 'tracepoint:iser_rs:command_posted { @bytes[args->write] = sum(args->bytes); }' \
	-c "/usr/bin/dd if=$disk of=/dev/null bs=4k count=40 iflag=direct" >/run/bpf 2>&1 || fail "bpftrace: $(cat /run/bpf)"
count_of "bytes that bpftrace adds up" 1 '^@bytes\[0\]: 163840$' </run/bpf
tracepoints=$(ls -d $tracing/events/iser_rs/*/ | wc -l)
equal "tracepoints that perf lists" "$tracepoints" "$(perf list tracepoint 2>/dev/null | grep -c ' iser_rs:')"
equal "tracepoints that trace-cmd lists" "$tracepoints" "$(trace-cmd list -e iser_rs | grep -c '^iser_rs:')"
equal "tracepoints that bpftrace lists" "$tracepoints" "$(bpftrace -l 'tracepoint:iser_rs:*' | wc -l)"
say "tracepoints of commands"

# Data that is sent unasked, and pings: of another session, as the target comes to allow it.
must "logout" iscsiadm -m node -u
lio_set $iqn param/InitialR2T No
set_node $iqn node.session.iscsi.InitialR2T No
connect $iqn
dir=$(connection_of "$session")
equal "info: initial_r2t" no "$(info "$dir" initial_r2t)"
equal "info: first_burst" 65536 "$(info "$dir" first_burst)"
what="writes of 64 KiB with unsolicited data"
snapshot "$dir"
trace_start command_posted
io write 64 20
count_of "$what" 20 ' write bytes=65536 .* immediate=8192 unsolicited=57344 registered=0 stag=0x0$' < <(events command_posted)
echo 0 >$tracing/events/enable
grows commands_write=20 bytes_write=1310720 immediate_commands=20 immediate_bytes=163840 unsolicited_pdus=140 \
	responses=20 registered_commands wr_send=$((160 + $(grown control_pdus_sent))) completions_receive wr_reg \
	remote_invalidations wr_local_inv local_invalidations control_pdus_sent control_pdus_received wr_receive \
	doorbells_receive doorbells_send completions_send
must "logout" iscsiadm -m node -u
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 1
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 10
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_conn
trace_start login
pings() { dmesg | grep -c 'Sending nopout as ping'; }
before=$(pings)
connect $iqn
dir=$(connection_of "$session")
requests=$(events login | grep -c request)
as_many() {
	local n=$(($(pings) - before))
	[ $n -ge 4 ] && [ "$(counter "$dir" control_pdus_sent)" = $((requests + n)) ] &&
		[ "$(counter "$dir" control_pdus_received)" = $((requests + n)) ]
}
wait_for 60 "as many PDUs each way as requests of the login and pings" as_many
say "unsolicited data, and $(($(pings) - before)) pings after $requests requests"
