#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Debian forky's kernel, with the module built by forky's compilers: login, verified I/O, a LUN
# reset, a portal that is lost and returns, logout.
# kernel: forky
# debug: no, it is a kernel of its own
. /share/tests/vm/lib.sh
grep -q deb14 /proc/version || fail "this is not forky's kernel: $(uname -a)"
one_disk
verified "sizes" --size=2m --name=small --bs=512 --name=page --bs=4k --offset=8m --name=large --bs=256k --offset=16m
must "a LUN reset" sg_reset -d "$(sg_of "$session" 0)"
verified "after a reset" --size=2m
lio_enable $iqn 0
lost() { ! logged_in "$session"; }
wait_for 60 "loss of the connection" lost
lio_enable $iqn 1
wait_for 60 "login after the portal was gone" logged_in "$session"
verified "after recovery" --size=2m
same_content /tmp/d0
logout $iqn
