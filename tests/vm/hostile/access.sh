#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A target cannot reach memory that it was not given, or was given no more: every attempt
# ends with a remote access error. The same is tried with C's ib_iser, and the results of
# both are put side by side (access-table).
# guest: --limit 900
. /share/tests/vm/lib.sh
. /share/tests/vm/hostile.sh

rxe_up 10.0.0.1
mine=$DRIVER
table=$results/access-table
for DRIVER in ib_iser_rs ib_iser; do
	[ "$mine" = ib_iser_rs ] || [ "$DRIVER" = "$mine" ] || continue
	load_driver
	pgrep -x iscsid >/dev/null || iscsid_up
	judge access
	unload_driver
	rm -f "/etc/modprobe.d/$DRIVER.conf"
	[ -s "$table" ] || (echo access && cut -f 2 "$results/access-$DRIVER.tsv") >"$table"
	(echo "$DRIVER" && cut -f 4 "$results/access-$DRIVER.tsv") | paste "$table" - >"$table.new"
	mv "$table.new" "$table"
done
DRIVER=$mine
say "what a target gets at:"
awk -F'\t' '{ printf "%-44s %-12s %s\n", $1, $2, $3 }' "$table"
