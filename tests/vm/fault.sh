# SPDX-License-Identifier: GPL-2.0
# For tests/vm/fault.

hostile=iqn.2003-01.org.example:hostile

# hostile_up ADDRESS - the target of tests/hostile, which behaves unless it is told something
# else. It takes up new logins at once, where LIO takes 15 s to get over one that breaks off.
hostile_up() {
	/share/tests/hostile/hostile-target --address "$1" >$results/target 2>&1 3>&- 4>&- &
	hostile_pid=$!
	listening() { grep -q listening $results/target; }
	wait_for 60 "target" listening
}

# ask WHAT… - of that target; what it says is nobody's business.
ask() { must "ask the target: $*" /share/tests/hostile/hostile-target --ask "$@"; }

# quick_up - the driver and that target in one guest, for logins without iscsid.
quick_up() {
	rxe_up "${portal%:*}"
	load_driver
	modprobe -a scsi_transport_iscsi libiscsi sd_mod || fail "no iSCSI"
	hostile_up "${portal%:*}"
}

# faults NAME ARGUMENTS… - runs fault/NAME.py, which logs in without iscsid (hostile/netlink.py),
# and adds the faults that it says to have injected to $faults.
faults=0
faults() {
	local out
	out=$results/$1-$(date +%s%N)
	python3 $here/fault/"$1".py "${@:2}" >"$out" 2>&1 3>&- 4>&- ||
		fail "$*: $(tail -n 40 "$out" $results/target 2>/dev/null)"
	grep -v '^faults ' "$out"
	faults=$((faults + $(sed -n 's/^faults //p' "$out")))
}

# bad_networks - a session with a target in the other guest, and what the two below need.
dropped=0
bad_networks() {
	# Each attempt to connect is of interest.
	echo options ib_iser_rs log_limit=0 >/etc/modprobe.d/log.conf
	remote_target
	set_node $iqn node.session.timeo.replacement_timeout 600
	# A login that breaks off keeps LIO busy for 15 s, iscsid's own limit for the next: then one
	# would give up just when the other is ready, again and again.
	set_node $iqn 'node.conn[0].timeo.login_timeout' 40
	modprobe sch_netem && on target modprobe sch_netem || fail "no netem"
	must "netem here" tc qdisc add dev eth0 root netem limit 100000
	must "netem there" on target "tc qdisc add dev eth0 root netem limit 100000"
	connect $iqn
}

# network ARGUMENTS… - of netem, on what the initiator sends and on what the target sends.
#
# It loses packets on their way. One that is refused when it is sent, by a queue that is full or
# that is being replaced, would be an error to rxe; so there is one queue, and only its
# parameters are changed.
network() {
	must "netem here" tc qdisc change dev eth0 root netem limit 100000 "$@"
	must "netem there" on target "tc qdisc change dev eth0 root netem limit 100000 $*"
}

# good_network - that loses nothing; $dropped is how many packets were lost until then.
good_network() {
	local n
	network
	dropped=0
	for n in $({ tc -s qdisc show dev eth0 && on target tc -s qdisc show dev eth0; } |
		sed -n 's/.*dropped \([0-9]*\),.*/\1/p'); do
		dropped=$((dropped + n))
	done
}

through() { # WHAT ARGUMENTS…
	local before=$dropped
	network "${@:2}"
	traffic_moves 240
	traffic_moves 240 # this pass began in it
	good_network
	say "$1: the session is $(state_of "$session"), $((dropped - before)) packets were lost"
}
