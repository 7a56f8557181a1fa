# SPDX-License-Identifier: GPL-2.0
# For tests/vm/hostile: the hostile target and its judge, see tests/hostile.

# Every failure is to be looked at.
echo "options ib_iser_rs log_limit=0" >/etc/modprobe.d/log.conf

# judge GROUP-OR-ATTACK… - all of them must be stood; the results go to NAME-$DRIVER.tsv,
# NAME being that of the first.
judge() {
	"/share/tests/hostile/judge" --driver "$DRIVER" --address "${portal%:*}" \
		--table "$results/$1-$DRIVER.tsv" --log "$results/target-$DRIVER.log" "$@" 3>&- 4>&- ||
		fail "$1: not all attacks were stood"
}

# all_counted - as many connections have failed, and for a reason that is counted, as the log says.
all_counted() {
	local said totals=/sys/kernel/debug/ib_iser_rs/totals
	[ "$DRIVER" = ib_iser_rs ] || return 0
	said=$(dmesg | grep -c 'ib_iser_rs: .*connection failed, ')
	equal "connections that failed" "$said" "$(sed -n 's/^connections_failed //p' $totals)"
	say "$said connections failed, for $(grep -E '^(protocol_errors|failures)_' $totals | grep -vc ' 0$') reasons"
}

# hostile_test GROUP… - what most of these tests are.
hostile_test() {
	rxe_up "${portal%:*}"
	load_driver
	iscsid_up
	judge "$@"
	all_counted
}
