# SPDX-License-Identifier: GPL-2.0
# For tests/vm/fault: what makes calls fail, see fault/fail.py.

# failing_up - a driver whose calls can fail, and a target for it without LIO, which takes
# 15 s to get over a login that breaks off.
failing_up() {
	rxe_up "${portal%:*}"
	load_driver
	modprobe -a scsi_transport_iscsi libiscsi sd_mod fail_call || fail "no iSCSI, or no fail_call"
	/share/tests/hostile/hostile-target --address "${portal%:*}" >$results/target 2>&1 3>&- 4>&- &
	listening() { grep -q listening $results/target; }
	wait_for 60 "target" listening
}

# failing LIFE FUNCTION=ERROR… - all of the calls in a long run, else some.
faults=0
failing() {
	local out=$results/failing-$1
	python3 $here/fault/fail.py --every "$(soak "${every:-1}" 1)" "$@" >>"$out" 2>&1 3>&- 4>&- || fail "$(tail -n 20 "$out")"
	cat "$out"
	faults=$((faults + $(sed -n 's/^faults //p' "$out" | tail -n 1)))
}
