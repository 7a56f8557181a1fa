# SPDX-License-Identifier: GPL-2.0
"""Commands that may time out, in threads, until a file is gone.

  late.py SG FILE PROGRESS

The disk, by its /dev/sgN, is one of zeroes. Not by /dev/sdX: commands to that have seven seconds
at least. With allow_dio set for the module sg, its memory is ours.

A read has to bring what was written there, or fail. A write that fails may have been done
or not, but must not be done later. Once a command is back, well or not, its memory is filled
and must stay as it is: it is looked at before it is used again, and at the end. PROGRESS has how many
were good so far.
"""
import ctypes
import mmap
import os
import random
import sys
import threading
import time

sys.path.insert(0, "/share/tests/vm")
import sgio  # noqa: E402

THREADS, SLOTS, BUFFERS, SIZE, PAGE = 12, 8, 6, 65536, 4096
TIMEOUT_MS = 1000
DIRECT_IO, INFO_DIRECT = 1, 6     # SG_FLAG_DIRECT_IO; SG_INFO_DIRECT_IO_MASK, of which 2 is yes
node, running, progress = sys.argv[1:]
lock = threading.Lock()
count = {"good": 0, "failed": 0, "looked at": 0}
wrong = []


def add(what):
    with lock:
        count[what] += 1


class Buffer:
    """Pages that the device transfers from or to directly, as they are aligned."""
    def __init__(self):
        self.memory = mmap.mmap(-1, SIZE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.left = None

    def fill(self, content):
        self.memory[:] = content

    def leave(self, was):
        self.left = os.urandom(16) * (SIZE // 16)
        self.fill(self.left)
        self.was = was

    def look(self):
        if self.left is None:
            return
        add("looked at")
        if self.memory[:] != self.left:
            pages = [n for n in range(SIZE // PAGE)
                     if self.memory[n * PAGE:(n + 1) * PAGE] != self.left[:PAGE]]
            wrong.append(f"memory of a {self.was} was touched later, pages {pages}")
        self.left = None


class Worker(threading.Thread):
    def __init__(self, number, device):
        super().__init__(daemon=True)
        self.number, self.device, self.since = number, device, None
        self.buffers = [Buffer() for _ in range(BUFFERS)]
        # What each page of a slot may have: a set of versions.
        self.possible = [[{0} for _ in range(SIZE // PAGE)] for _ in range(SLOTS)]
        self.version = 0

    def stamp(self, version):
        if not version:
            return bytes(PAGE)
        return (version << 8 | self.number).to_bytes(16, "big") * (PAGE // 16)

    def once(self, turn, write, slot):
        buffer = self.buffers[turn % BUFFERS]
        buffer.look()
        lba = (self.number * SLOTS + slot) * SIZE // 512
        if write:
            self.version += 1
            buffer.fill(self.stamp(self.version) * (SIZE // PAGE))
            cdb, direction = sgio.write16(lba, SIZE // 512), sgio.OUT
        else:
            buffer.fill(b"\xa5" * SIZE)
            cdb, direction = sgio.read16(lba, SIZE // 512), sgio.IN
        self.since = time.monotonic()
        h, _ = self.device.transfer(cdb, direction, buffer.address, SIZE, TIMEOUT_MS, DIRECT_IO)
        if h.info & INFO_DIRECT != 2:
            wrong.append("the memory is not accessed directly")
        self.since = None
        good = not h.status and not h.host_status and not h.driver_status & 15
        got = buffer.memory[:] if good and not write else None
        buffer.leave(f"{'good' if good else 'failed'} {'write' if write else 'read'}")
        add("good" if good else "failed")
        for page, possible in enumerate(self.possible[slot]):
            if write:
                if good:
                    possible.clear()
                possible.add(self.version)
            elif got is not None:
                here = got[page * PAGE:(page + 1) * PAGE]
                match = [v for v in possible if self.stamp(v) == here]
                if not match:
                    wrong.append(f"thread {self.number} slot {slot} page {page}: {here[:16].hex()}, "
                                 f"not one of {sorted(possible)}")
                    match = possible
                self.possible[slot][page] = set(match)
        return good

    def run(self):
        turn = 0
        while os.path.exists(running) and not wrong:
            self.once(turn, random.random() < .5, random.randrange(SLOTS))
            turn += 1
        for slot in range(SLOTS):       # all is well again, and stays as it was seen
            for _ in range(2):
                if not wrong and not self.once(turn, False, slot):
                    wrong.append(f"thread {self.number} slot {slot}: cannot be read in the end")
                turn += 1


if __name__ == "__main__":
    workers = [Worker(n, sgio.Device(node)) for n in range(THREADS)]
    for worker in workers:
        worker.start()
    while os.path.exists(running) and not wrong:
        with open(progress + ".new", "w") as f:
            f.write(f"{count['good']} good\n")
        os.rename(progress + ".new", progress)
        time.sleep(.1)
    end = time.monotonic() + 120
    for worker in workers:
        worker.join(max(0, end - time.monotonic()))
        if worker.is_alive():
            since = worker.since
            wrong.append(f"thread {worker.number} is not back" +
                         (f" from a command of {time.monotonic() - since:.0f} s" if since else ""))
    time.sleep(2)
    for worker in workers:
        for buffer in worker.buffers:
            buffer.look()
    print(", ".join(f"{n} {what}" for what, n in count.items()))
    for text in wrong[:20]:
        print(text)
    sys.stdout.flush()
    os._exit(1 if wrong else 0)
