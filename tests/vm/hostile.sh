# SPDX-License-Identifier: GPL-2.0
# For tests/vm/hostile: the hostile target and its judge, see tests/hostile.

# judge GROUP-OR-ATTACK… - all of them must be stood; the results go to NAME-$DRIVER.tsv,
# NAME being that of the first.
judge() {
	"/share/tests/hostile/judge" --driver "$DRIVER" --address "${portal%:*}" \
		--table "$results/$1-$DRIVER.tsv" --log "$results/target-$DRIVER.log" "$@" 3>&- 4>&- ||
		fail "$1: not all attacks were stood"
}

# hostile_test GROUP… - what most of these tests are.
hostile_test() {
	rxe_up "${portal%:*}"
	load_driver
	iscsid_up
	judge "$@"
}
