# SPDX-License-Identifier: GPL-2.0
"""Writes and reads a disk from scattered buffers; compares with the target's file."""
import mmap
import os
import random
import sys

sys.path.insert(0, "/share/tests/vm")
import sgio

disk, sg, backing = sys.argv[1:]
rng = random.Random(1)
memory = mmap.mmap(-1, 16 << 20)
view = memoryview(memory)
fd = os.open(disk, os.O_RDWR | os.O_DIRECT)
stored = os.open(backing, os.O_RDONLY)
REGION = 2 << 20


def layout(pieces, shift, unit, most):
    """Scattered pieces of memory: some adjacent, some with gaps, shifted in their page."""
    at, out, total = shift, [], 0
    for _ in range(pieces):
        length = unit * rng.randint(1, most)
        out.append(view[at:at + length])
        total += length
        at += length
        if rng.random() < 0.7:
            at += unit * rng.randint(1, 20)
    return out, total


def check(name, got, want):
    if got != want:
        at = next(i for i in range(min(len(got), len(want))) if got[i] != want[i])
        sys.exit(f"{name}: byte {at} of {len(want)} differs")


def scattered(name, pieces, shift, unit, most):
    parts, total = layout(pieces, shift, unit, most)
    offset = 4096 * rng.randint(0, 1000) + 512 * rng.randint(0, 7)
    data = rng.randbytes(total)
    at = 0
    for part in parts:
        part[:] = data[at:at + len(part)]
        at += len(part)
    done = os.pwritev(fd, parts, offset)
    if done != total:
        sys.exit(f"{name}: wrote {done} of {total}")
    check(f"{name}, written", os.pread(stored, total, offset), data)
    for part in parts:
        part[:] = bytes(len(part))
    done = os.preadv(fd, parts, offset)
    if done != total:
        sys.exit(f"{name}: read {done} of {total}")
    check(f"{name}, read", b"".join(bytes(p) for p in parts), data)


count = 0
for pieces, most in ((1, 1), (2, 1), (3, 2), (2, 16), (8, 3), (64, 2), (128, 1), (200, 9), (256, 8), (512, 4)):
    for shift in (0, 512, 1536, 3584, 4, 4092):
        scattered(f"{pieces} pieces of up to {most} sectors at {shift}", pieces, shift, 512, most)
        count += 1
print(f"{count} scattered layouts")

device = sgio.Device(sg)
count = 0
for blocks in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 127, 128, 129, 255, 256, 511):
    for offset in (0, 4, 512, 516, 3000):
        lba = rng.randint(0, 60000)
        data = rng.randbytes(512 * blocks)
        r = device.command(sgio.write16(lba, blocks), sgio.OUT, data, offset)
        if r.status or r.host_status or r.resid:
            sys.exit(f"WRITE of {blocks} blocks at offset {offset}: {r}")
        check(f"SG_IO write of {blocks} blocks", os.pread(stored, len(data), lba * 512), data)
        r = device.command(sgio.read16(lba, blocks), sgio.IN, len(data), offset)
        if r.status or r.host_status or r.resid:
            sys.exit(f"READ of {blocks} blocks at offset {offset}: {r}")
        check(f"SG_IO read of {blocks} blocks", r.data, data)
        count += 1
print(f"{count} SG_IO writes and reads")
