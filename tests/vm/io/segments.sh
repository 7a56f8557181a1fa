#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Any layout of a buffer in memory is read and written right: many small pieces with gaps
# between them, pieces that start anywhere in a page, odd sizes by SG_IO.
. /share/tests/vm/lib.sh
one_disk
say "$(cd "/sys/block/${disk##*/}/queue" && grep -H . max_segments max_segment_size dma_alignment virt_boundary_mask max_sectors_kb)"
python3 $here/io/segments.py "$disk" "$(sg_of "$session" 0)" /tmp/d0 || fail "a layout was transferred wrong"
same_content /tmp/d0
