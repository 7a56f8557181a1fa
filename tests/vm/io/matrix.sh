#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Data arrives whole however a write's data is split between immediate, unsolicited and
# solicited data: ImmediateData and InitialR2T, yes and no, with small and large bursts.
. /share/tests/vm/lib.sh
initiator_up
backstore d0 fileio /tmp/d0 64
lio_target $iqn
lio_lun $iqn 0 d0
discover

# MaxRecvDataSegmentLength of the target is 8 KiB by default: sizes around it, around the
# first burst, and beyond both.
sizes="512 4096 7680 8192 8704 12288 16384 61440 65536 69632 131072 524288"

try() { # IMMEDIATE INITIAL_R2T FIRST_BURST
	local jobs=() n=0 bs count
	count=$(slow 64 16)
	lio_set $iqn param/ImmediateData "$1"
	lio_set $iqn param/InitialR2T "$2"
	lio_set $iqn param/FirstBurstLength "$3"
	set_node $iqn node.session.iscsi.ImmediateData "$1"
	set_node $iqn node.session.iscsi.InitialR2T "$2"
	set_node $iqn node.session.iscsi.FirstBurstLength "$3"
	connect $iqn
	equal "negotiated ImmediateData" "$1" "$(tr 10 YN <"/sys/class/iscsi_session/$session/immediate_data" | sed 's/Y/Yes/; s/N/No/')"
	equal "negotiated InitialR2T" "$2" "$(tr 10 YN <"/sys/class/iscsi_session/$session/initial_r2t" | sed 's/Y/Yes/; s/N/No/')"
	for bs in $sizes; do
		jobs+=(--name="bs-$bs" --bs="$bs" --offset=$((n++ * 4))m --size=$((bs * count < 1 << 20 ? bs * count : 1 << 20)))
	done
	verified "ImmediateData=$1 InitialR2T=$2 FirstBurst=$3" --iodepth=4 "${jobs[@]}"
	same_content /tmp/d0
	say "ImmediateData=$1 InitialR2T=$2 FirstBurst=$3: $(wc -w <<<"$sizes") sizes verified"
	logout $iqn
}

try Yes Yes 65536
try Yes No 65536
try No Yes 65536
try No No 65536
try Yes No 16384
