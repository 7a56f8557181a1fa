#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Login in all its stages, with CHAP in both directions; a refused login is a clear error,
# leaves nothing behind, and the right one then works; an answer is done with before the
# next request is taken.
# module: slow_return
. /share/tests/vm/lib.sh
initiator_up
backstore d0 ramdisk 16
lio_target $iqn
lio_lun $iqn 0 d0
lio_set $iqn attrib/authentication 1
for a in userid=user password=right-secret-1 userid_mutual=peer password_mutual=other-secret-2; do
	lio_set $iqn "auth/${a%=*}" "${a#*=}"
done
discover
# Retries are iscsid's, once is enough here.
set_node $iqn node.session.initial_login_retry_max 1

# The target answers and hangs up at once. iscsid may see the end of the connection first:
# it then waits for its time to be up, and says that (5, 8, 11), else that it was not authorized (24).
refused() { # WHAT
	local rc begin=$SECONDS
	iscsiadm -m node -T $iqn -l >/run/refused 2>&1
	rc=$?
	cat /run/refused
	case $rc in
	5 | 8 | 11 | 24) ;;
	*) fail "a login with $1 gave status $rc" ;;
	esac
	grep -q "Could not login to .*$iqn" /run/refused || fail "the error does not name the target"
	equal "sessions after a login with $1" "" "$(sessions)"
	((SECONDS - begin < 90)) || fail "the login with $1 took $((SECONDS - begin)) s"
}

refused "no CHAP"
set_node $iqn node.session.auth.authmethod CHAP
set_node $iqn node.session.auth.username user
set_node $iqn node.session.auth.password wrong-secret-0
refused "a wrong password"

set_node $iqn node.session.auth.password right-secret-1
connect $iqn
verified "after CHAP" --size="$(slow 1m 256k)"
logout $iqn
say "CHAP"

set_node $iqn node.session.auth.username_in peer
set_node $iqn node.session.auth.password_in other-secret-2
connect $iqn
verified "after mutual CHAP" --size="$(slow 1m 256k)"
logout $iqn
say "mutual CHAP"

# A login that this side gives up keeps LIO busy for 15 s, iscsid's own limit for the next.
set_node $iqn 'node.conn[0].timeo.login_timeout' 60
set_node $iqn node.session.auth.password_in not-the-secret
! iscsiadm -m node -T $iqn -l || fail "a target with a wrong secret was accepted"
equal "sessions after it" "" "$(sessions)"

# iscsid has each answer, and sends what follows it, long before the call that handed it out
# returns to libiscsi, which only then is done with it. ib_iser refuses what comes in between.
if [ "$DRIVER" = ib_iser_rs ]; then
	modprobe slow_return function=iscsi_recv_pdu ms=50 || fail "no slow_return"
fi
for n in 1 2 3 4 5; do
	set_node $iqn node.session.auth.password_in other-secret-2
	connect $iqn
	logout $iqn
	equal "sessions after logout $n" "" "$(sessions)"
done
if [ "$DRIVER" = ib_iser_rs ]; then
	calls=$(cat /sys/module/slow_return/parameters/calls)
	((calls >= 15)) || fail "only $calls answers were late"
	equal "requests refused" 0 "$(dmesg | grep -c 'Cannot start new task')"
	modprobe -r slow_return
fi
say "5 logins and logouts"
