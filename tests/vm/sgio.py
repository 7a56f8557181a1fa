# SPDX-License-Identifier: GPL-2.0
"""SG_IO: one SCSI command from user space, with all that came back."""
import ctypes
import fcntl
import os
import struct

NONE, OUT, IN = -1, -2, -3


class Header(ctypes.Structure):
    _fields_ = [("interface_id", ctypes.c_int), ("direction", ctypes.c_int),
                ("cmd_len", ctypes.c_ubyte), ("mx_sb_len", ctypes.c_ubyte),
                ("iovec_count", ctypes.c_ushort), ("dxfer_len", ctypes.c_uint),
                ("dxferp", ctypes.c_void_p), ("cmdp", ctypes.c_void_p), ("sbp", ctypes.c_void_p),
                ("timeout", ctypes.c_uint), ("flags", ctypes.c_uint), ("pack_id", ctypes.c_int),
                ("usr_ptr", ctypes.c_void_p), ("status", ctypes.c_ubyte),
                ("masked_status", ctypes.c_ubyte), ("msg_status", ctypes.c_ubyte),
                ("sb_len_wr", ctypes.c_ubyte), ("host_status", ctypes.c_ushort),
                ("driver_status", ctypes.c_ushort), ("resid", ctypes.c_int),
                ("duration", ctypes.c_uint), ("info", ctypes.c_uint)]


class Result:
    def __init__(self, header, data, sense):
        self.status, self.host_status = header.status, header.host_status
        self.resid, self.data = header.resid, data
        self.sense = bytes(sense[:header.sb_len_wr])

    @property
    def key(self):
        """(sense key, additional code, qualifier), fixed or descriptor format."""
        s = self.sense
        if len(s) < 4:
            return None
        if s[0] & 0x7f >= 0x72:
            return s[1] & 15, s[2], s[3]
        return (s[2] & 15, s[12], s[13]) if len(s) > 13 else None

    def __str__(self):
        return f"status {self.status:#x} host {self.host_status:#x} resid {self.resid} sense {self.key}"


class Device:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def command(self, cdb, direction=NONE, data=0, offset=0, timeout=60000):
        """data: bytes to write, or how many to read; offset: of the buffer from a page."""
        size = len(data) if direction == OUT else data
        room = ctypes.create_string_buffer(size + 8192 + offset)
        start = (ctypes.addressof(room) + 4095) // 4096 * 4096 + offset
        if direction == OUT:
            ctypes.memmove(start, data, size)
        elif size:
            ctypes.memset(start, 0xa5, size)
        h, sense = self.transfer(cdb, direction, start, size, timeout)
        return Result(h, ctypes.string_at(start, size) if direction == IN else b"", sense)

    def transfer(self, cdb, direction, start, size, timeout=60000, flags=0):
        """With the caller's memory from start; the header and the sense data that came back."""
        command = ctypes.create_string_buffer(bytes(cdb), len(cdb))
        sense = ctypes.create_string_buffer(96)
        h = Header(interface_id=ord("S"), direction=direction, cmd_len=len(cdb), mx_sb_len=96,
                   dxfer_len=size, dxferp=start if size else None,
                   cmdp=ctypes.addressof(command), sbp=ctypes.addressof(sense), timeout=timeout,
                   flags=flags)
        fcntl.ioctl(self.fd, 0x2285, h)
        return h, sense

    def capacity(self):
        """Number of blocks, block size."""
        last, size = struct.unpack(">QI", self.command(
            [0x9e, 0x10] + [0] * 11 + [32, 0, 0], IN, 32).data[:12])
        return last + 1, size


def read16(lba, blocks):
    return struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0)


def write16(lba, blocks):
    return struct.pack(">BBQIBB", 0x8a, 0, lba, blocks, 0, 0)
