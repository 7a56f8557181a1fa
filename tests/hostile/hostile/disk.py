# SPDX-License-Identifier: GPL-2.0
"""A small disk in memory: what SCSI commands do to it (SPC-4, SBC-3)."""
import struct

BLOCK = 512

INVALID_OPCODE = (5, 0x20, 0)
INVALID_FIELD = (5, 0x24, 0)
OUT_OF_RANGE = (5, 0x21, 0)
NO_LUN = (5, 0x25, 0)


def sense(key, code, qualifier):
    """Fixed format."""
    return struct.pack(">BBB4xB4xBB4x", 0x70, 0, key, 10, code, qualifier)


class Transfer:
    """What a command asks for: `data` to hand over, or a piece of the disk to read or to
    write, or `sense` if it is refused."""

    def __init__(self, data=None, sense=None, lba=None, blocks=0, write=False):
        self.data, self.sense, self.lba, self.write = data, sense, lba, write
        self.offset, self.length = (lba or 0) * BLOCK, blocks * BLOCK


class Disk:
    def __init__(self, blocks, serial):
        self.blocks, self.serial = blocks, serial

    def execute(self, cdb, lun):
        operation = cdb[0]
        if operation == 0xa0:
            return Transfer(data=struct.pack(">II8x", 8, 0))
        if lun != bytes(8):
            if operation == 0x12:       # "not capable of supporting a peripheral device here"
                return Transfer(data=bytes([0x7f]) + self.inquiry()[1:])
            return Transfer(sense=NO_LUN)
        if operation in (0x08, 0x28, 0x88, 0x0a, 0x2a, 0x8a):
            return self.access(cdb)
        if operation in (0x00, 0x35, 0x91, 0x1b, 0x1e):   # of which none has anything to do
            return Transfer(data=b"")
        if operation == 0x12:
            return self.page(cdb) if cdb[1] & 1 else self.cut(self.inquiry(), cdb[3:5])
        if operation == 0x25:
            return Transfer(data=struct.pack(">II", self.blocks - 1, BLOCK))
        if operation == 0x9e and cdb[1] & 0x1f == 0x10:
            return self.cut(struct.pack(">QI20x", self.blocks - 1, BLOCK), cdb[10:14])
        if operation == 0x1a:
            return self.cut(b"\x03\0\0\0", cdb[4:5])
        if operation == 0x5a:
            return self.cut(b"\0\x06\0\0\0\0\0\0", cdb[7:9])
        if operation == 0x03:
            return self.cut(sense(0, 0, 0), cdb[4:5])
        return Transfer(sense=INVALID_OPCODE)

    @staticmethod
    def cut(data, allocation):
        return Transfer(data=data[:int.from_bytes(allocation)])

    def inquiry(self):
        return struct.pack(">BBBBBBBB8s16s4s", 0, 0, 6, 0x12, 31, 0, 0, 2, b"EXAMPLE ",
                           b"hostile disk    ", b"1   ")

    def page(self, cdb):
        serial = self.serial.encode()
        pages = {0x00: bytes([0x00, 0x80, 0x83]), 0x80: serial,
                 0x83: bytes([2, 1, 0, len(serial) + 8]) + b"EXAMPLE " + serial}
        if cdb[2] not in pages:
            return Transfer(sense=INVALID_FIELD)
        content = pages[cdb[2]]
        return self.cut(struct.pack(">BBH", 0, cdb[2], len(content)) + content, cdb[3:5])

    def access(self, cdb):
        operation = cdb[0]
        if operation in (0x08, 0x0a):
            lba, blocks = int.from_bytes(cdb[1:4]) & 0x1fffff, cdb[4] or 256
        elif operation in (0x28, 0x2a):
            lba, blocks = struct.unpack_from(">I", cdb, 2)[0], struct.unpack_from(">H", cdb, 7)[0]
        else:
            lba, blocks = struct.unpack_from(">QI", cdb, 2)
        if lba + blocks > self.blocks:
            return Transfer(sense=OUT_OF_RANGE)
        return Transfer(lba=lba, blocks=blocks, write=operation in (0x0a, 0x2a, 0x8a))
