#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Login in all its stages, with CHAP in both directions; a refused login is a clear error,
# leaves nothing behind, and the right one then works.
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
# A login that this side gives up keeps LIO busy for 15 s, iscsid's own limit for the next.
set_node $iqn 'node.conn[0].timeo.login_timeout' 60
# Retries are iscsid's, once is enough here.
set_node $iqn node.session.initial_login_retry_max 1

# The target answers and hangs up at once. iscsid may see the end of the connection first:
# it then says that the login failed (5, 8, 11), else that it was not authorized (24).
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
verified "after CHAP" --size=1m
logout $iqn
say "CHAP"

set_node $iqn node.session.auth.username_in peer
set_node $iqn node.session.auth.password_in other-secret-2
connect $iqn
verified "after mutual CHAP" --size=1m
logout $iqn
say "mutual CHAP"

set_node $iqn node.session.auth.password_in not-the-secret
! iscsiadm -m node -T $iqn -l || fail "a target with a wrong secret was accepted"
equal "sessions after it" "" "$(sessions)"

for n in 1 2 3 4 5; do
	set_node $iqn node.session.auth.password_in other-secret-2
	connect $iqn
	logout $iqn
	equal "sessions after logout $n" "" "$(sessions)"
done
say "5 logins and logouts"
