# SPDX-License-Identifier: GPL-2.0
"""The initiator of this machine, as its administrator and an application use it."""
import ctypes
import fcntl
import mmap
import os
import random
import struct
import subprocess
import sys
import threading
import time

from . import kernel

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vm"))
import sgio  # noqa: E402

SIZE = GUARD = 65536
# Limits are times this: the debug kernel is slow.
PATIENCE = 4 if os.environ.get("SLOW") else 1


class Failed(Exception):
    """The initiator has not done what it must."""


def run(*command, limit=60):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=limit * PATIENCE, stdin=subprocess.DEVNULL, text=True, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"no end of {' '.join(command)} within {limit * PATIENCE} s") from None
    return done.returncode, done.stdout


def must(*command, limit=60):
    status, output = run(*command, limit=limit)
    if status:
        raise Failed(f"{' '.join(command)}: status {status}: {output}")
    return output


def wait(what, condition, limit=60):
    """Until `condition()` is true; its value."""
    limit *= PATIENCE
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {limit} s")
        time.sleep(0.02)


class Buffer:
    """Memory of a direct I/O, between guards."""

    def __init__(self, seed, data=None):
        self.map = mmap.mmap(-1, SIZE + 2 * GUARD)
        self.view = memoryview(self.map)
        self.guard = random.Random(seed).randbytes(GUARD)
        self.view[:GUARD] = self.view[GUARD + SIZE:] = self.guard
        self.view[GUARD:GUARD + SIZE] = data or b"\x5a" * SIZE

    @property
    def address(self):
        return ctypes.addressof(ctypes.c_char.from_buffer(self.map, GUARD))

    @property
    def part(self):
        return self.view[GUARD:GUARD + SIZE]

    @property
    def data(self):
        return bytes(self.part)

    def guarded(self):
        return self.view[:GUARD] == self.guard and self.view[GUARD + SIZE:] == self.guard


class Disk:
    """A disk, held open: udev looks at a disk anew whenever a writer closes it."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)

    def close(self):
        os.close(self.fd)


class Io(threading.Thread):
    """One read or write, of a buffer at a block."""

    def __init__(self, disk, block, buffer, write=False):
        super().__init__(daemon=True)
        self.disk, self.block, self.buffer, self.write = disk, block, buffer, write
        self.error, self.ended = None, threading.Event()
        self.start()

    def run(self):
        try:
            call = os.pwritev if self.write else os.preadv
            count = call(self.disk.fd, [self.buffer.part], self.block * 512)
            if count != SIZE:
                self.error = f"{count} bytes"
        except OSError as e:
            self.error = str(e)
        self.ended.set()

    def finish(self, limit=60):
        what = "write" if self.write else "read"
        limit *= PATIENCE
        if not self.ended.wait(limit):
            raise Failed(f"the {what} has not ended within {limit} s")
        if self.error:
            raise Failed(f"{what}: {self.error}")


class PassThrough(Io):
    """A SCSI command from the application to the disk: nobody tries it again when it has
    failed. The device accesses the buffer itself, as it lies at a page."""

    def __init__(self, disk, block, buffer, write=False, timeout=60):
        self.timeout, self.host_status = timeout, None
        super().__init__(disk, block, buffer, write)

    def run(self):
        cdb = struct.pack(">BBIBHB", 0x2a if self.write else 0x28, 0, self.block, 0, SIZE // 512, 0)
        command, sense = ctypes.create_string_buffer(cdb, len(cdb)), ctypes.create_string_buffer(96)
        header = sgio.Header(
            interface_id=ord("S"), direction=sgio.OUT if self.write else sgio.IN, cmd_len=len(cdb),
            mx_sb_len=96, dxfer_len=SIZE, dxferp=self.buffer.address, timeout=self.timeout * 1000,
            cmdp=ctypes.addressof(command), sbp=ctypes.addressof(sense))
        try:
            fcntl.ioctl(self.disk.fd, 0x2285, header)
            self.host_status = header.host_status
        except OSError as e:
            self.error = str(e)
        self.ended.set()


class Initiator:
    """Sessions with targets of one portal."""

    def __init__(self, portal):
        self.portal, self.disks = portal, {}

    def discover(self):
        must("iscsiadm", "-m", "discovery", "-o", "new", "-o", "old", "-t", "st", "-I", "iser",
             "-p", self.portal)

    def configure(self, name, settings):
        words = [w for key, value in settings.items() for w in ("-n", key, "-v", str(value))]
        must("iscsiadm", "-m", "node", "-T", name, "-o", "update", *words)

    def log_in(self, name):
        must("iscsiadm", "-m", "node", "-T", name, "-l")
        return self.wait_for_disk(name)

    def try_to_log_in(self, name, limit):
        return run("iscsiadm", "-m", "node", "-T", name, "-l", limit=limit)

    def log_out(self, name):
        if name in self.disks:
            self.disks.pop(name).close()
            run("udevadm", "settle")    # or it would read a disk that goes away
        if kernel.session_folder(name):
            must("iscsiadm", "-m", "node", "-T", name, "-u")
            wait("the end of the session", lambda: not kernel.session_folder(name))

    def wait_until_in(self, name, limit=60):
        wait("the session is logged in", lambda: kernel.session_state(name) == "LOGGED_IN", limit)

    def wait_for_disk(self, name):
        """The disk of a session, once that is logged in."""
        self.wait_until_in(name)
        if name not in self.disks:
            def disk():
                folder = kernel.device(name, "block/sd*")
                try:
                    return folder and Disk("/dev/" + os.path.basename(folder))
                except OSError:     # not yet, or the node is of one that was there before
                    return None
            self.disks[name] = wait("the disk", disk)
            run("udevadm", "settle")    # it has read what it wants
        return self.disks[name]

    def rescan(self, name):
        must("iscsiadm", "-m", "node", "-T", name, "-R")

    def reset_lun(self, name):
        node = "/dev/" + os.path.basename(kernel.device(name, "scsi_generic/sg*"))
        return subprocess.Popen(["sg_reset", "--no-esc", "--device", node],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
