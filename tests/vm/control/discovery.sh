#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A SendTargets answer that fills many PDUs arrives whole: 151 targets with names of the
# greatest length; the last of them can be logged in to.
. /share/tests/vm/lib.sh
initiator_up
backstore d0 ramdisk 8
long=$(printf 'x%.0s' {1..190})
for n in {1..151}; do
	printf 'iqn.2003-01.org.example:%s-%03d\n' "$long" "$n"
done >/tmp/names
while read -r name; do lio_target "$name"; done </tmp/names
last=$(tail -n 1 /tmp/names)
say "$(wc -l </tmp/names) targets, names of ${#last} bytes"
lio_lun "$last" 0 d0

for round in 1 2; do
	discover
	sed 's/.* //' $results/targets | sort | cmp - /tmp/names || fail "not the names that were configured (round $round)"
	equal "answers with this portal" 151 "$(grep -c "^$portal,1 " $results/targets)"
done
equal "sessions left by discovery" "" "$(sessions)"
connect "$last"
verified "the last target" --size=1m
