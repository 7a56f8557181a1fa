#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guest without swap whose memory is taken gets its dirty pages to the iSER disk, also
# when the connection is lost and has to be made anew just then: nothing hangs, nothing is
# killed for want of memory, and what was written is there.
# guest: --peer target --disk 512M --memory 1G --limit 400
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 120
connect $iqn
equal "swap" 1 "$(wc -l </proc/swaps)"
must "file system" mkfs.ext4 -q -E nodiscard "$disk"
must "mount" mount "$disk" /mnt
# Pages stay dirty until memory is needed.
echo 80 >/proc/sys/vm/dirty_ratio
echo 70 >/proc/sys/vm/dirty_background_ratio
echo 60000 >/proc/sys/vm/dirty_expire_centisecs

vmstat_of() { awk -v what="$1" '$1 ~ what { n += $2 } END { print n }' /proc/vmstat; }
meminfo() { awk -v what="$1:" '$1 == what { print int($2 / 1024) }' /proc/meminfo; }

# Takes all but so much of what there is, and keeps using it.
left=96
cat >/run/hog.py <<'END'
import random, sys, time
def available():
    return next(int(l.split()[1]) for l in open("/proc/meminfo") if l.startswith("MemAvailable")) // 1024
taken = []
while available() > int(sys.argv[1]):
    taken.append(bytearray(b"x" * (1 << 20)))
print(len(taken), flush=True)
while True:
    for part in taken:
        part[random.randrange(1 << 20)] ^= 1
    time.sleep(0.05)
END
python3 /run/hog.py $left >/run/hog 3>&- 4>&- &
hog=$!
taken() { [ -s /run/hog ]; }
wait_for 60 "memory to be taken" taken
say "$(cat /run/hog) MiB taken, $(meminfo MemAvailable) of $(meminfo MemTotal) MiB available"

before=$(vmstat_of '^pgsteal_direct$|^pgsteal_kswapd$') stalls=$(vmstat_of '^allocstall')
fio --directory=/mnt --rw=randwrite --bs=16k --size="$(soak 40m 80m)" --ioengine=psync --thread --numjobs=4 \
	--verify=crc32c --do_verify=0 --randrepeat=0 --randseed=7 --name=dirty --output=$results/fio-dirty \
	3>&- 4>&- 2>/run/fio-errors &
io=$!
dirty_pages() { [ $(($(meminfo Dirty) + $(meminfo Writeback))) -ge 16 ]; }
wait_for 60 "dirty pages" dirty_pages
say "$(meminfo Dirty) MiB dirty"
lost() { ! logged_in "$session"; }
for n in 1 2; do
	must "disable the target" on target "lio_enable $iqn 0"
	wait_for 60 "loss of the connection" lost
	must "enable the target" on target "lio_enable $iqn 1"
	wait_for 120 "the session" logged_in "$session"
	say "back, round $n; $(meminfo Dirty) MiB dirty, $(meminfo MemFree) free"
done
wait $io || fail "writes: $(cat /run/fio-errors)"
must "sync" sync -f /mnt
kill -0 $hog || fail "what took the memory was killed"
reclaimed=$(($(vmstat_of '^pgsteal_direct$|^pgsteal_kswapd$') - before))
[ $reclaimed -gt 5000 ] || fail "only $reclaimed pages were reclaimed: there was no want of memory"
say "$reclaimed pages reclaimed, $(($(vmstat_of '^allocstall') - stalls)) times while somebody waited"
kill $hog
! dmesg | grep -E 'Out of memory|page allocation failure|invoked oom-killer' || fail "memory ran out"

must "unmount" umount /mnt
echo 3 >/proc/sys/vm/drop_caches
must "check" fsck.ext4 -fn "$disk"
must "mount" mount "$disk" /mnt
must "what was written" fio --directory=/mnt --rw=randwrite --bs=16k --size="$(soak 40m 80m)" --ioengine=psync --thread \
	--numjobs=4 --verify=crc32c --verify_fatal=1 --verify_only=1 --randrepeat=0 --randseed=7 --name=dirty --output=$results/fio-verify
must "unmount" umount /mnt
say "$(soak 160 320) MiB verified"
