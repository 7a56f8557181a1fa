# SPDX-License-Identifier: GPL-2.0
"""Residuals and sense data, as the initiator reports them by SG_IO."""
import os
import sys

sys.path.insert(0, "/share/tests/vm")
import sgio
from sgio import IN, NONE, OUT

device = sgio.Device(sys.argv[1])
stored = os.open(sys.argv[2], os.O_RDONLY)
blocks, size = device.capacity()
failures = 0


def expect(what, result, status=0, resid=None, key=None):
    global failures
    wrong = result.status != status or (resid is not None and result.resid != resid) or \
        (key is not None and result.key != key)
    print(f"{'WRONG' if wrong else 'ok':5} {what}: {result}"
          + (f", expected status {status:#x} resid {resid} sense {key}" if wrong else ""))
    failures += wrong


# Less than was asked for: an INQUIRY answer is shorter than its buffer.
short = device.command([0x12, 0, 0, 0, 255, 0], IN, 255)
length = short.data[4] + 5
expect(f"INQUIRY of 255 bytes, the answer has {length}", short, resid=255 - length)
expect("INQUIRY of 36 bytes", device.command([0x12, 0, 0, 0, 36, 0], IN, 36), resid=0)
# A buffer larger than the command's transfer, then a smaller one.
r = device.command(sgio.read16(8, 2), IN, 4096)
expect("READ of 2 blocks into 8", r, resid=4096 - 2 * size)
if r.data[:2 * size] != os.pread(stored, 2 * size, 8 * size):
    sys.exit("the data of the short READ is wrong")
r = device.command(sgio.read16(8, 8), IN, 1024)
print(f"      READ of 8 blocks into 2: {r}")
if not r.status and r.data != os.pread(stored, 1024, 8 * size):
    sys.exit("the data of the truncated READ is wrong")

# Errors of the target, with its sense data.
expect("READ beyond the end", device.command(sgio.read16(blocks, 1), IN, size),
       status=2, key=(5, 0x21, 0))
expect("WRITE beyond the end", device.command(sgio.write16(blocks, 1), OUT, bytes(size)),
       status=2, key=(5, 0x21, 0))
expect("an operation code that does not exist", device.command([0xc1] + [0] * 9, NONE),
       status=2, key=(5, 0x20, 0))
expect("READ of the last block", device.command(sgio.read16(blocks - 1, 1), IN, size), resid=0)
expect("after all that, TEST UNIT READY", device.command([0] * 6))
sys.exit(failures != 0)
