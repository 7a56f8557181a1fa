# SPDX-License-Identifier: GPL-2.0
# For tests/vm/interop.

# use_driver NAME - this driver and no other, for what is compared.
use_driver() {
	local other
	for other in ib_iser ib_iser_rs; do
		if [ -d /sys/module/$other ]; then
			DRIVER=$other
			unload_driver
		fi
	done
	DRIVER=$1
	must "load $1" modprobe --ignore-install "$1"
	only_driver
}

# now - seconds with two digits; elapsed A B - from the one to the other.
now() { cut -d' ' -f1 /proc/uptime; }
elapsed() { awk "BEGIN { printf \"%.2f\", $2 - $1 }"; }

# iface NAME TRANSPORT [INITIATORNAME] - an interface of iscsiadm.
iface() {
	must "iface $1" iscsiadm -m iface -I "$1" -o new
	must "iface $1" iscsiadm -m iface -I "$1" -o update -n iface.transport_name -v "$2"
	if [ -n "${3-}" ]; then
		must "iface $1" iscsiadm -m iface -I "$1" -o update -n iface.initiatorname -v "$3"
	fi
}

# siw_up - an iWARP device, and no other, at the portal's address.
siw_up() {
	modprobe siw || fail "no siw in this kernel"
	must "a link for siw" ip link set eth0 mtu 9000 up
	must "its address" ip addr add "${portal%:*}/24" dev eth0
	must "siw over eth0" rdma link add siw_eth0 type siw netdev eth0
	equal "RDMA devices" siw_eth0 "$(ls /sys/class/infiniband)"
}

# scripted_target OPTIONS… - the scripted target of tests/hostile, which behaves as long as
# it has not been told otherwise; its name is $iqn and its portal $portal. stopped, it says
# nothing on all its connections, which stay up.
scripted_target() {
	portal=${portal%:*}:3261
	: >"$results/target.log"
	/share/tests/hostile/hostile-target --address "${portal%:*}" --name $iqn "$@" \
		>>"$results/target.log" 2>&1 3>&- 4>&- &
	scripted=$!
	wait_for 60 "the scripted target" grep -q listening "$results/target.log"
}
ask_target() { /share/tests/hostile/hostile-target --ask "$@"; }

# sizes STEP SIZE… - jobs of fio for these block sizes, up to 64 blocks each and STEP bytes
# apart on the disk, in the array $jobs.
sizes() {
	local step bs bytes n=0
	step=$(numfmt --from=iec "${1^^}")
	shift
	jobs=()
	for bs in "$@"; do
		bytes=$(($(numfmt --from=iec "${bs^^}") * $(slow 64 16)))
		jobs+=(--name="bs-$bs" --bs="$bs" --offset=$((n++ * step)) --size=$((bytes < step ? bytes : step)))
	done
}

# kept SESSION… - none of their connections was lost: another one would have been made, and I/O gone on.
kept() {
	local s
	for s; do
		equal "connections of $s that were lost" 0 "$(dmesg | grep -c "connection${s#session}:0: detected conn error")"
	done
}

# seen KEY - what the scripted target says of its last session, see Target.seen() there.
seen() {
	ask_target seen | python3 -c 'import json, sys
d = json.load(sys.stdin)
for key in sys.argv[1].split("."): d = d.get(key, 0)
print(d)' "$1"
}
