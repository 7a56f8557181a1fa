#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The recipes of Documentation/observability.rst tell why a session on which this was done on
# purpose does not come up, or drops: a password that is wrong, a port that flaps.
# only: ib_iser_rs
# tools: iser-stat
# guest: --peer target --disk 64M --limit 400
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
. /share/tests/vm/observe.sh
far=iqn.2003-01.org.example:far
rxe_up 10.0.0.1
load_driver
iscsid_up

# Why can I not log in, and why does this session not come back? A wrong password. The scripted
# target refuses it, as LIO may hang up before what it says is out.
hostile_up 10.0.0.1
portal=10.0.0.1:3261
refused() { total failures_login_refused; }
discover
ask arm name=wrong-password
set_node $hostile node.session.initial_login_retry_max 1
set_node $hostile node.session.auth.authmethod CHAP
set_node $hostile node.session.auth.username someone
set_node $hostile node.session.auth.password wrong-secret-0
cd /run || fail "no /run"
as_told 'trace-cmd record -e iser_rs:login iscsiadm -m node -l' >$results/refused-login
grep "could not login to.*$hostile" -i $results/refused-login || fail "a login with a wrong password: $(cat $results/refused-login)"
as_told 'trace-cmd report' >$results/steps
grep 'login: ' $results/steps
grep 'login: ' $results/steps | tail -n 1 | grep -q 'response stage=0 .*status=0x0201' || fail "that is not the step"
as_told "grep -v ' 0$' /sys/kernel/debug/ib_iser_rs/totals" | tee $results/totals
equal "reasons" failures_login_refused "$(grep -oE '^(failures|protocol_errors)_[a-z_]+' $results/totals)"
equal "logins refused" 1 "$(refused)"
line="ib_iser_rs: $hostile at $portal (session [0-9]*): login refused, authentication failed, see node.session.auth"
as_told 'dmesg | grep ib_iser_rs' >$results/said
equal "lines in the log" 1 "$(grep -c "$line" $results/said)"
ask disarm
# That target asks for none.
set_node $hostile node.session.auth.authmethod None
set_node $hostile 'node.conn[0].timeo.noop_out_interval' 0
connect $hostile
ask arm name=wrong-password
ask hang_up
says_so() {
	as_told 'iser-stat' >$results/refused
	grep -q "^warning: session ${session#session} ($hostile): recovering, its I/O waits; last error: login refused, authentication failed" $results/refused
}
wait_for 120 "the reason" says_so
cat $results/refused
ask disarm
wait_for 180 "the session" logged_in "$session"
logout $hostile
say "wrong password"

# Why did this session drop, again and again? The port flaps.
portal=10.0.0.2:3260
must "target in the other guest" on target "portal=$portal
	rxe_up 10.0.0.2 && lio_up && backstore d0 iblock \$(disk disk0) &&
	lio_target $far $portal && lio_lun $far 0 d0"
discover
set_node $far 'node.conn[0].timeo.noop_out_interval' 2
set_node $far 'node.conn[0].timeo.noop_out_timeout' 3
connect $far
downs() { cat /sys/class/infiniband/rxe_eth0/ports/1/hw_counters/link_downed; }
down() {
	as_told 'grep . /sys/class/infiniband/*/ports/*/hw_counters/link_downed' >/run/downs
	[ "$(cat /run/downs)" = $((before + 1)) ]
}
broken() { awk '/^protocol_errors/ { n += $2 } END { print n }' $seen/totals; }
protocol=$(broken)
gone() { ! logged_in "$session"; }
for n in 1 2; do
	before=$(downs)
	vm_link initiator off
	wait_for 30 "that the port is said to have been down" down
	wait_for 120 "the loss" gone
	as_told 'iser-stat' >$results/flap-$n
	cat $results/flap-$n
	grep -q "^warning: session ${session#session} ($far): recovering" $results/flap-$n || fail "not said"
	vm_link initiator on
	wait_for 180 "the session" or_new_rxe eth0 logged_in "$session"
done
dmesg | grep -E "ib_iser_rs: .*$portal|connection[0-9]+:0: " | tail
as_told "iser-stat --json -i 0 | grep -E '\"(target|reconnects)\"'" >$results/flaps
cat $results/flaps
# That of all sessions comes before those that there are: the session's own, then that of its connection.
equal "reconnects" 2 "$(sed -n '/"target"/,$ s/.*"reconnects": \([0-9]*\).*/\1/p' $results/flaps | head -n 1)"
# Nothing came back for a ping, or it could not even be sent, which ends rxe's queue pair.
equal "losses for that" 2 "$(dmesg | grep -cE "ping timeout of|$portal \(session ${session#session}\): connection failed, it was ended")"
equal "protocol errors" "$protocol" "$(broken)"
say "port flapping"
