#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# libiscsi's conformance suite for SCSI, through /dev/sg, has the same result, test by test,
# as it has with ib_iser to the same target: the table beside this file.
# guest: --limit 400
. /share/tests/vm/lib.sh
one_disk fileio 64
udevadm settle
sg=$(sg_of "$session" 0)
# Of the families, ALL has the tests of the others, but for one that crashes here.
iscsi-test-cu --test ALL --dataloss --verbose "$sg" >$results/suite 2>&1
say "$(grep -c '^  Test: ' $results/suite) tests of libiscsi $(dpkg-query -W -f '${Version}' libiscsi-bin)"
python3 $here/conformance.py "$DRIVER" $here/interop/conformance.csv <$results/suite || fail "not the same results"
logged_in "$session" || fail "the session is $(state_of "$session")"
verified "after the suite" --size=1m
same_content /tmp/d0
