# SPDX-License-Identifier: GPL-2.0
"""iSCSI PDUs with the iSER header before them (RFC 7143, RFC 7145)."""
import struct

ISER = 28
BHS = 48
HEADERS = ISER + BHS
NO_TAG = 0xffffffff

NOP_OUT, SCSI_COMMAND, TASK_REQUEST, LOGIN_REQUEST, TEXT_REQUEST, DATA_OUT, LOGOUT_REQUEST = \
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
NOP_IN, SCSI_RESPONSE, TASK_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN, LOGOUT_RESPONSE = \
    0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26
R2T, ASYNC, REJECT = 0x31, 0x32, 0x3f

GOOD, CHECK_CONDITION, BUSY = 0x00, 0x02, 0x08


class Received:
    """What the initiator has sent, and nothing of it checked: it is the one we trust."""

    def __init__(self, raw):
        self.raw = raw
        self.flags = raw[0]
        self.write_stag, self.write_base = struct.unpack_from(">IQ", raw, 4)
        self.read_stag, self.read_base = struct.unpack_from(">IQ", raw, 16)
        self.writes, self.reads = bool(raw[0] & 8), bool(raw[0] & 4)
        self.bhs = b = raw[ISER:HEADERS]
        self.opcode, self.immediate = b[0] & 0x3f, bool(b[0] & 0x40)
        self.ahs = b[4] * 4
        length = int.from_bytes(b[5:8])
        self.data = raw[HEADERS + self.ahs:HEADERS + self.ahs + length]
        self.lun = b[8:16]
        self.itt = b[16:20]     # opaque to a target
        self.word20, self.cmd_sn, self.exp_stat_sn = struct.unpack_from(">III", b, 20)
        self.cdb = b[32:48]

    def text(self):
        """The keys of a login or text request."""
        return dict(item.decode().partition("=")[::2] for item in self.data.split(b"\0") if item)


class Pdu:
    """A PDU to send. `bytes(pdu)` is all of it, iSER header included.

    Whatever an attack needs to be wrong can be set: `iser` is the iSER header, `bhs` the
    header segment, a bytearray each; `length` overrides DataSegmentLength; `numbered`
    says whether StatSN, ExpCmdSN and MaxCmdSN are filled in when it is sent.
    """

    def __init__(self, opcode, flags=0x80, itt=b"\xff" * 4, data=b"", **fields):
        self.iser = bytearray(ISER)
        self.iser[0] = 0x10
        self.bhs = bytearray(BHS)
        self.bhs[0], self.bhs[1] = opcode, flags
        self.bhs[16:20] = itt
        self.data, self.length, self.padded = data, None, True
        self.numbered = True
        self.takes_stat_sn = True
        for at, value in fields.items():    # b36=…: bytes from byte 36 on
            at = int(at[1:])
            self.bhs[at:at + len(value)] = value

    def sequence(self, stat_sn, exp_cmd_sn, max_cmd_sn):
        struct.pack_into(">III", self.bhs, 24, stat_sn & NO_TAG, exp_cmd_sn & NO_TAG,
                         max_cmd_sn & NO_TAG)

    def __bytes__(self):
        length = len(self.data) if self.length is None else self.length
        self.bhs[5:8] = length.to_bytes(3)
        padding = -len(self.data) % 4 if self.padded else 0
        return bytes(self.iser) + bytes(self.bhs) + self.data + bytes(padding)


def scsi_response(itt, status=GOOD, sense=b"", residual=0, response=0):
    """`residual`: bytes less than asked for, more if negative."""
    flags = 0x80 | (2 if residual > 0 else 4 if residual < 0 else 0)
    data = struct.pack(">H", len(sense)) + sense if sense else b""
    return Pdu(SCSI_RESPONSE, flags, itt, data, b2=bytes([response, status]),
               b44=struct.pack(">I", abs(residual)))


def nop_in(itt=b"\xff" * 4, ttt=NO_TAG, lun=bytes(8)):
    pdu = Pdu(NOP_IN, 0x80, itt, b8=lun, b20=struct.pack(">I", ttt))
    # One that asks for nothing does not advance StatSN (RFC 7143 section 11.19.3).
    pdu.takes_stat_sn = itt != b"\xff" * 4
    return pdu


def task_response(itt, response=0):
    return Pdu(TASK_RESPONSE, 0x80, itt, b2=bytes([response]))


def logout_response(itt, response=0):
    return Pdu(LOGOUT_RESPONSE, 0x80, itt, b2=bytes([response]))


def text_response(itt, keys, ttt=NO_TAG, flags=0x80):
    return Pdu(TEXT_RESPONSE, flags, itt, encode(keys), b20=struct.pack(">I", ttt))


def async_message(event, sense=b"", parameters=(0, 0, 0), lun=bytes(8)):
    data = struct.pack(">H", len(sense)) + sense if sense else b""
    return Pdu(ASYNC, 0x80, b"\xff" * 4, data, b8=lun, b36=bytes([event, 0]),
               b38=struct.pack(">HHH", *parameters))


def reject(reason, header):
    return Pdu(REJECT, 0x80, b"\xff" * 4, header, b2=bytes([reason]))


def encode(keys):
    """`keys`: (key, value) pairs; a key may occur more than once."""
    return b"".join(f"{k}={v}\0".encode() for k, v in keys)
