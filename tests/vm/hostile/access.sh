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
	column=$results/access-$DRIVER.tsv
	if [ -s "$table" ]; then
		cut -f 4 "$column" | paste "$table" - >"$table.new" && mv "$table.new" "$table"
	else
		(echo access && cut -f 2,4 "$column") >"$table"
	fi
	sed -i "1s/\$/\t$DRIVER/" "$table"
done
DRIVER=$mine
column -t -s $'\t' "$table"
