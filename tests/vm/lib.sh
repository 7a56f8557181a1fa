# SPDX-License-Identifier: GPL-2.0
# What the scripts that run in a guest have in common. A test sources it, sets up a
# target and logs in with the helpers below, checks what the disk, the target and the
# kernel say, and ends; what is then left over, or was reported by the kernel, fails it.
set -uo pipefail

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
DRIVER=${DRIVER:-ib_iser_rs}
results=/run/results
here=/share/tests/vm
# Set on the debug kernel, which is 20 to 60 times slower: transfer less, wait longer.
SLOW=${SLOW:-}
iqn=iqn.2003-01.org.example:t
portal=${portal:-10.0.0.1:3260}
config=/sys/kernel/config
core=$config/target/core

say() { echo "[$(cut -d' ' -f1 /proc/uptime)] $*"; }

fail() {
	say "FAILED: $*"
	exit 1
}

skip() {
	say "skipped: $*"
	exit 77
}

# must WHAT COMMAND… - COMMAND has to succeed; its output is shown if it does not.
must() {
	local what=$1 out rc
	shift
	out=$("$@" 2>&1)
	rc=$?
	[ $rc = 0 ] || fail "$what: status $rc from: $*${out:+
$out}"
}

# equal WHAT EXPECTED GOT
equal() {
	[ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

# slow THIS THAT - THAT on the debug kernel, else THIS.
slow() { if [ -n "$SLOW" ]; then echo "$2"; else echo "$1"; fi; }

# soak THIS THAT - THAT in a long run, for which SOAK is set, else THIS.
soak() { if [ -n "${SOAK:-}" ]; then echo "$2"; else echo "$1"; fi; }

# injected COUNT WHAT - the figure of a test that injects faults, for its closing line and the run's.
injected() {
	echo "$1" >$results/injected
	say "$*"
}

# around - what may explain that something does not happen.
around() {
	local s
	for s in $(sessions); do echo "$s: $(state_of "$s"), recovery $(cat "/sys/class/iscsi_session/$s/recovery_tmo") s"; done
	rdma resource show qp 2>/dev/null | cut -c1-100
	dmesg | tail -n 6
}

# fail_around WHAT - that comes first, as to ask what is around it may hang as well.
fail_around() {
	say "FAILED: $*"
	around
	exit 1
}

# wait_for SECONDS WHAT COMMAND… - until COMMAND succeeds; slow machines are no failure.
wait_for() {
	local limit=$(($1 * $(slow 1 4))) what=$2 begin=$SECONDS
	shift 2
	until "$@" >/dev/null 2>&1; do
		((SECONDS - begin < limit)) || fail_around "$what: not within $limit s"
		sleep 0.1
	done
}

### The host: other guests (started by scripts/guest --peer), their links and power

# host VERB GUEST ARGUMENTS… - asks scripts/guest; its answer is our output and status.
host() {
	local status text
	printf '%s' "$*" | base64 -w 0 >&3
	echo >&3
	read -r status text <&3 || fail "the host does not answer"
	base64 -d <<<"$text"
	return "$status"
}

# on GUEST COMMAND… - runs a shell command there, with this library.
on() { host on "$@"; }

vm_link() { host link "$1" "nic${3:-0}" "$2" >/dev/null || fail "cannot set the link of $1 $2"; } # GUEST on|off [N]
vm_pause() { host stop "$1" >/dev/null || fail "cannot stop $1"; } # its CPUs; vm_resume has them go on
vm_resume() { host cont "$1" >/dev/null || fail "cannot have $1 go on"; }
vm_kill() { host kill "$1" || fail "cannot kill $1"; }
vm_start() { host start "$1" || fail "cannot start $1"; }

### RDMA

# rxe_up ADDRESS [NETDEV] - a RoCE device over NETDEV. The MTU comes first, rxe takes its
# own from it once.
rxe_up() {
	local dev=${2:-eth0}
	modprobe rdma_rxe || fail "no rdma_rxe"
	ip link set "$dev" mtu 9000 up || fail "cannot set up $dev"
	ip addr add "$1/24" dev "$dev" || fail "cannot give $dev the address $1"
	rdma link add "rxe_$dev" type rxe netdev "$dev" || fail "no rxe over $dev"
	wait_for 30 "RDMA device rxe_$dev" grep -q ACTIVE "/sys/class/infiniband/rxe_$dev/ports/1/state"
}

# or_new_rxe NETDEV COMMAND… - for wait_for: COMMAND, or what it needs to become true.
#
# A datagram that cannot be sent, as without a link, ends rxe's queue pair of the connection
# manager: it is in ERR (7.3: rxe_requester()), and ib_core has it go on from SQE alone. The device
# makes no connection any more, whoever asks, so another one takes its place.
or_new_rxe() {
	"${@:2}" && return
	if rdma resource show qp link "rxe_$1/1" | grep -q 'type GSI state ERR'; then
		# Who waits says that it was in vain, should one of these fail.
		rdma link delete "rxe_$1" && rdma link add "rxe_$1" type rxe netdev "$1" &&
			say "$1 has another RDMA device" >>"$results/new-rxe"
	fi
	return 1
}

### The LIO target, by configfs

lio_up() {
	modprobe -a target_core_mod target_core_file target_core_iblock iscsi_target_mod ib_isert ||
		fail "no LIO"
	mountpoint -q $config || mount -t configfs configfs $config
	# Registrations of reservations fail without.
	mkdir -p /var/target/pr
}

# backstore NAME ramdisk SIZE | NAME fileio FILE SIZE | NAME iblock DEVICE - SIZE in
# MiB. A device of LIO that luns can be made of.
backstore() {
	local name=$1 kind=$2 dir control
	case $kind in
	ramdisk) dir=$core/rd_mcp_0 control=rd_pages=$(($3 * 256)) ;;
	fileio)
		truncate -s "$4M" "$3"
		dir=$core/fileio_0 control=fd_dev_name=$3,fd_dev_size=$(($4 << 20)),fd_buffered_io=1
		;;
	iblock) dir=$core/iblock_0 control=udev_path=$3 ;;
	esac
	mkdir -p "$dir/$name" &&
		echo "$control" >"$dir/$name/control" &&
		echo "serial-$name" >"$dir/$name/wwn/vpd_unit_serial" &&
		echo 1 >"$dir/$name/enable" || fail "LIO: no backstore $name ($*)"
	if [ "$kind" = fileio ]; then
		echo 1 >"$dir/$name/attrib/emulate_tpu" || fail "LIO: no UNMAP for $name"
	fi
}

# lio_target IQN [PORTAL] [iser|tcp] - an open target without luns.
lio_target() {
	local tpg=$config/target/iscsi/$1/tpgt_1 np=${2:-$portal}
	mkdir -p "$tpg/np/$np" || fail "LIO: no portal $np for $1"
	if [ "${3:-iser}" = iser ]; then
		echo 1 >"$tpg/np/$np/iser" || fail "LIO: no iSER at $np"
	fi
	for a in authentication=0 generate_node_acls=1 cache_dynamic_acls=1 demo_mode_write_protect=0; do
		echo "${a#*=}" >"$tpg/attrib/${a%=*}" || fail "LIO: $a"
	done
	echo 1 >"$tpg/enable" || fail "LIO: cannot enable $1"
}

# lio_lun IQN LUN BACKSTORE
lio_lun() {
	local lun=$config/target/iscsi/$1/tpgt_1/lun/lun_$2
	mkdir -p "$lun" && ln -s "$core"/*/"$3" "$lun/$3" || fail "LIO: no lun $2 for $1"
}

# lio_set IQN GROUP/NAME VALUE, as in: lio_set $iqn param/ImmediateData No. LIO keeps a newline as part of some values.
lio_set() { echo -n "$3" >"$config/target/iscsi/$1/tpgt_1/$2" || fail "LIO: cannot set $2=$3"; }

lio_enable() { lio_set "$1" enable "$2"; }

### The initiator

load_driver() {
	if [ "$DRIVER" != ib_iser ]; then
		cp /share/modprobe.conf "/etc/modprobe.d/$DRIVER.conf"
	fi
	must "load the driver" modprobe "$DRIVER"
	[ -d "/sys/module/$DRIVER" ] || fail "modprobe $DRIVER succeeded, but it is not loaded"
	[ -d /sys/class/iscsi_transport/iser ] || fail "$DRIVER loaded, but there is no transport iser"
	only_driver
}

# only_driver - a comparison is worth nothing if the other driver did the work.
only_driver() {
	local loaded
	loaded=$(cd /sys/module && ls -d ib_iser ib_iser_rs 2>/dev/null)
	equal "iSER drivers that are loaded" "$DRIVER" "$loaded"
	say "driver: $loaded"
}

driver_loaded() { [ -d "/sys/module/$DRIVER" ]; }

# udev may still have a disk open for a moment after logout.
unload_driver() { wait_for 20 "unload of $DRIVER" modprobe -r "$DRIVER"; }

# unwatched - udev does not look at a disk, once it has come, whenever somebody has written to it.
#
# When a disk is looked at, sd asks for a mode page that LIO does not have; and LIO (7.3) hangs in
# isert_wait4cmds() when a connection ends with a command whose answer is not GOOD and not sent yet:
# that is left to a thread which has ended by then. Seen with ib_iser alone, sg_raw in a loop, in the
# fifth round. Many tests end connections under I/O.
unwatched() {
	mkdir -p /run/udev/rules.d
	echo 'SUBSYSTEM=="block", OPTIONS+="nowatch"' >/run/udev/rules.d/99-unwatched.rules
	must "udev's rules" udevadm control --reload
}

iscsid_up() {
	mkdir -p /run/lock/iscsi
	echo "InitiatorName=${initiator:-iqn.1993-08.org.debian:01:guest}" >/etc/iscsi/initiatorname.iscsi
	# Only what a test asks for: no login at boot, no waiting for 120 s by accident.
	modprobe -a scsi_transport_iscsi libiscsi sd_mod sg || fail "no iSCSI in this kernel"
	unwatched
	iscsid 3>&- 4>&- || fail "iscsid does not start"
	wait_for 30 "iscsid" iscsiadm -m iface
}

# initiator_up - all that a test with one guest needs before its target is defined.
initiator_up() {
	rxe_up "${portal%:*}"
	lio_up
	load_driver
	iscsid_up
}

# discover [PORTAL] - its output is then in $results/targets. With login=-l it logs in, too;
# with interfaces="-I NAME…" by these.
#
# An answer that is there before the kernel's reply to the request is taken in by open-iscsi
# (2.1.11, __kipc_call() in usr/netlink.c) while it waits for that reply, and not looked for
# any more: it times out, crashes and leaves its session. ib_iser_rs lets no answer be there so
# soon; where the log of a discovery by ib_iser shows just that, this removes the session and
# asks again.
discover() {
	local before log=$results/discovery
	before=$(sessions)
	if ask_for_targets "$@"; then
		return
	fi
	[ "$DRIVER" = ib_iser ] && grep -q 'expecting event .*, got 101' "$log" &&
		grep -Eq 'session to .* timed out|Login response timeout' "$log" || fail "discovery: $(cat "$log")"
	say "open-iscsi missed the answer; once more"
	mv "$log" "$log-missed"
	# shellcheck disable=SC2086 # Names without spaces.
	must "remove the session" python3 $here/forget.py --except $before
	ask_for_targets "$@" || fail "discovery: $(cat "$log")"
}
ask_for_targets() {
	# shellcheck disable=SC2086 # Options.
	iscsiadm -d 8 -m discovery -o new -o old -t st ${interfaces:--I iser} -p "${1:-$portal}" ${login:-} >"$results/targets" 2>"$results/discovery"
}

# set_node IQN NAME VALUE - of the record that discovery made.
set_node() { must "set $2" iscsiadm -m node -T "$1" -o update -n "$2" -v "$3"; }

login() { must "login to $1" iscsiadm -m node -T "$1" -l; }
logout() { must "logout of $1" iscsiadm -m node -T "$1" -u; }

sessions() { ls /sys/class/iscsi_session 2>/dev/null; }

# session_of IQN - the names of its sessions.
session_of() {
	local s
	for s in $(sessions); do
		if [ "$(<"/sys/class/iscsi_session/$s/targetname")" = "$1" ]; then
			echo "$s"
		fi
	done
}

state_of() { cat "/sys/class/iscsi_session/$1/state"; }
logged_in() { [ "$(state_of "$1" 2>/dev/null)" = LOGGED_IN ]; }

# host_of SESSION - the folder of its host.
host_of() { echo "/sys/class/scsi_host/$(readlink -f "/sys/class/iscsi_session/$1/device" | grep -o 'host[0-9]*')"; }

# scsi_of SESSION LUN - its folder in sysfs; disk_of SESSION LUN - its /dev/sdX.
scsi_of() { echo /sys/class/iscsi_session/"$1"/device/target*/*:"$2"; }
disk_of() {
	local b
	b=$(echo "$(scsi_of "$1" "$2")"/block/sd*)
	# The kernel makes the folder and the node before the disk can be opened.
	[ -d "$b" ] && [ -b "/dev/${b##*/}" ] && : 2>/dev/null <"/dev/${b##*/}" && echo "/dev/${b##*/}"
}
sg_of() { echo "/dev/$(basename "$(scsi_of "$1" "$2")"/scsi_generic/sg*)"; }

# connect IQN [LUN] - login to a discovered target; the session and the disk are then in
# $session and $disk.
connect() {
	login "$1"
	session=$(session_of "$1" | tail -n 1)
	wait_for 60 "disk of $1" disk_of "$session" "${2:-0}"
	disk=$(disk_of "$session" "${2:-0}")
}

# one_disk [KIND SIZE] - the usual start: one target with one lun, and its disk in $disk.
one_disk() {
	initiator_up
	case ${1:-fileio} in
	fileio) backstore d0 fileio /tmp/d0 "${2:-64}" ;;
	ramdisk) backstore d0 ramdisk "${2:-64}" ;;
	esac
	lio_target $iqn
	lio_lun $iqn 0 d0
	discover
	connect $iqn
}

# verified NAME FIO-OPTIONS… - writes $disk and reads it back with crc32c. Options before
# the first --name are for all jobs; without any --name there is one job.
verified() {
	local name=$1
	shift
	case " $* " in
	*" --name="*) ;;
	*) set -- "$@" "--name=${name// /-}" ;;
	esac
	must "verified I/O ($name)" fio --filename="${disk:?}" --rw=randwrite --bs=4k \
		--verify=crc32c --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth=16 \
		--randrepeat=0 --thread --output="$results/fio-${name// /-}" "$@"
}

# traffic_start [FIO-OPTIONS…] - verified writes to $disk, pass after pass, in the
# background; traffic_moves waits until more passes were done; traffic_stop ends it and
# fails if one byte was wrong.
traffic_start() {
	touch /run/traffic
	: >$results/passes
	(
		trap - EXIT
		while [ -e /run/traffic ]; do
			fio --filename="$disk" --rw=randwrite --bs=16k --size="$(slow 4m 1m)" --thread \
				--ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 \
				--randrepeat=0 --output=$results/fio-traffic "$@" --name=traffic >/run/traffic-errors 2>&1 || exit 1
			echo pass >>$results/passes
		done
	) 3>&- 4>&- &
	traffic=$!
	traffic_moves
}

more_passes() { [ "$(wc -l <$results/passes)" -gt "$1" ] || ! kill -0 "$traffic"; }

traffic_moves() {
	wait_for "${1:-120}" "I/O moves" more_passes $(($(wc -l <$results/passes) + 1))
	kill -0 "$traffic" 2>/dev/null || fail "I/O failed: $(cat /run/traffic-errors)"
}

traffic_over() { ! kill -0 "$traffic"; }
traffic_stop() { # [SECONDS]
	rm /run/traffic
	wait_for "${1:-240}" "the end of the I/O" traffic_over
	wait "$traffic" || fail "I/O failed: $(cat /run/traffic-errors)"
	say "$(wc -l <$results/passes) passes of verified I/O"
}

# same_content FILE - the disk's content is what is in FILE, at the target.
same_content() {
	sync "$disk"
	blockdev --flushbufs "$disk"
	must "the target's content is the disk's" cmp "$disk" "$1"
}

# same_disk - the disk's content is what is on the disk of remote_target.
same_disk() {
	local ours
	blockdev --flushbufs "$disk"
	ours=$(timeout "$(slow 240 960)" sha256sum "$disk" | cut -d' ' -f1)
	[ -n "$ours" ] || fail_around "the disk cannot be read"
	equal "content of the target's disk" "$ours" "$(on target 'sha256sum <$(disk disk0)' | cut -d' ' -f1)"
}

# remote_target [MIB] - a target in the guest "target", with one lun on its disk disk0;
# remote_target_up does its part again after that guest was started again.
remote_target() {
	portal=10.0.0.2:3260
	rxe_up 10.0.0.1
	remote_target_up
	load_driver
	iscsid_up
	discover
}

remote_target_up() {
	must "target in the other guest" on target "portal=$portal
		rxe_up 10.0.0.2 && lio_up && backstore d0 iblock \$(disk disk0) &&
		lio_target $iqn && lio_lun $iqn 0 d0"
}

# disk SERIAL - the device that scripts/guest --disk gave us.
disk() {
	local d
	for d in /sys/block/vd*; do
		if [ "$(<"$d/serial")" = "$1" ]; then
			echo "/dev/${d##*/}"
		fi
	done
}

### The end

kernel_reports='WARNING:|BUG:|BUG [a-z]|Oops|kernel BUG|Call Trace:|general protection|KASAN|KCSAN|UBSAN|lockdep|possible (circular|recursive) locking|inconsistent lock state|suspicious RCU|non-static key|INFO: (task|rcu|lockdep|Slab|trying)|blocked for more than|soft lockup|hard LOCKUP|DMA-API:|refcount_t|ODEBUG|unreferenced object|suspected memory leak|sleeping function called|scheduling while atomic|list_(add|del) corruption|rust_kernel: panicked'
harmless='RCU lockdep checking is enabled|clocksource: |Watchdog remote CPU|DMA-API: preallocated|lockdep debugging|DMA-API: debugging enabled'
# What kmemleak counts here is read out by leaks().
harmless="$harmless|kmemleak: [0-9]+ new suspected memory leaks"
# A frame of a call trace reports nothing, whatever its function is called; what it is of has a heading.
harmless="$harmless|\] +(\? )?[A-Za-z0-9_.]+[+]0x[0-9a-f]+/0x"

# Reports of C code that are not this driver's doing: each by file and function, with what
# showed that. A whole report is dropped, from its cut to its end, never a single line.
#
# iscsit_release_cmd: LIO frees a command that is still on its connection's list, WARN_ON
# (!list_empty(&cmd->i_conn_node)). Seen on the debug kernel with ib_iser alone loaded
# (LUN reset and target reset under verified I/O, then logout), and with ib_iser_rs too.
known_reports='WARNING: drivers/target/iscsi/iscsi_target_util[.]c:[0-9]+ at iscsit_release_cmd[+]'
# The transport class removes a session's devices by work that may reclaim memory, and the
# kernel warns once if runtime power management, whose work may not, still is busy with one.
# Seen with ib_iser_rs alone, once; the trace is the class's, SCSI's and that of devices.
known_reports="$known_reports|workqueue: WQ_MEM_RECLAIM iscsi_ctrl_[0-9:]+__iscsi_unbind_session [[]scsi_transport_iscsi[]] is flushing !WQ_MEM_RECLAIM pm:pm_runtime_work"

# rxe_resp_queue_pkt() and rxe_comp_queue_pkt() hand a packet over, and with it their only reference to
# its queue pair, which they then have go on: WARN_ON(rxe_read(task->qp) <= 0) if that was destroyed in
# between. Seen once with ib_iser_rs, in hostile/fuzz, not tried with ib_iser; the trace is rxe's alone, by
# which a sender gives a packet to a queue pair of the same device.
known_reports="$known_reports|WARNING: drivers/infiniband/sw/rxe/rxe_task[.]c:[0-9]+ at rxe_sched_task[+].* rxe_xmit_packet[+].* rxe_requester[+]"
# For tests/hostile/fuzz.
export known_reports

# The same for memory that is lost, by the function that has allocated it.
#
# iscsit_build_text_rsp: LIO forgets the text of an answer to SendTargets that takes several PDUs.
# Seen with ib_iser alone loaded (control/discovery: 8 blocks of 8192 B, "TargetName=iqn…").
known_leaks='iscsit_build_text_rsp[+]0x[0-9a-f]+/0x[0-9a-f]+ [[]iscsi_target_mod[]]'

unknown_leaks() {
	awk -v known="$known_leaks" '
		/^unreferenced object/ { if (text !~ known) printf "%s", text; text = "" }
		{ text = text $0 "\n" }
		END { if (text !~ known) printf "%s", text }'
}

unknown_reports() {
	awk -v known="$known_reports" '
		/-+\[ cut here \]-+/ { if (block) printf "%s", text; block = 1; text = "" }
		!block { print; next }
		{ text = text $0 "\n" }
		/---\[ end trace / { if (text !~ known) printf "%s", text; block = 0; text = "" }
		END { if (block) printf "%s", text }'
}

# reports [COMMAND…] - those in the log that COMMAND prints, by default this kernel's.
reports() { "${@:-dmesg}" | unknown_reports | grep -E "$kernel_reports" | grep -vE "$harmless"; }

# leaks - prints what nobody has a pointer to any more, where the kernel can tell. That
# takes two scans that find a block unchanged, at least five seconds after its allocation.
# The addresses of a module that is gone are given names by what /proc/kallsyms was.
leaks() {
	local kmemleak=/sys/kernel/debug/kmemleak
	[ -w $kmemleak ] || return 0
	sleep 5
	{ echo scan && echo scan; } >$kmemleak || echo "kmemleak has given up: $(dmesg | grep kmemleak: | tail -n 1)"
	python3 $here/symbols.py /run/symbols <$kmemleak | unknown_leaks
}

end_of_test() {
	local rc=$? text
	trap - EXIT
	if driver_loaded; then
		if [ -n "$(sessions)" ] && ! timeout "$(slow 60 240)" iscsiadm -m node -u >/run/logout 2>&1; then
			cat /run/logout
			say "FAILED: logout at the end"
			[ $rc != 0 ] || rc=1
		fi
		grep "\[$DRIVER\]" /proc/kallsyms >/run/symbols
		if ! (unload_driver) || driver_loaded; then
			say "FAILED: $DRIVER cannot be unloaded ($(lsmod | grep "^$DRIVER "))"
			[ $rc != 0 ] || rc=1
		fi
	fi
	text=$(leaks)
	if [ -n "$text" ]; then
		echo "$text" >$results/leaks
		say "FAILED: memory was lost (all of it is in leaks):"
		head -n 40 <<<"$text"
		[ $rc != 0 ] && [ $rc != 77 ] || rc=1
	fi
	text=$(reports)
	if [ -n "$text" ]; then
		say "FAILED: the kernel reported (all of it is in dmesg-*):"
		head -n 20 <<<"$text"
		[ $rc != 0 ] && [ $rc != 77 ] || rc=1
	fi
	exit $rc
}
[ "$(cat /proc/sys/kernel/hostname)" != initiator ] || [ -n "${no_end:-}" ] || trap end_of_test EXIT
