# SPDX-License-Identifier: GPL-2.0
"""PDUs that a target must not send, or not like this."""
import struct

from .. import pdu
from ..attack import pdus
from ..disk import sense

# enum iscsi_err of <scsi/iscsi_if.h>
BAD_OPCODE, DATALEN, AHSLEN, PROTO, BAD_ITT, CONN_FAILED = 1005, 1006, 1007, 1008, 1010, 1011

# What is said of an answer that nobody waits for.
UNASKED = "does not fit|of another request|of no command|not of this session"


def each(values, **expect):
    """An attack for each of `values`, as NAME-VALUE."""
    def decorate(make):
        for value in values:
            def one(session, command, value=value):
                return make(session, command, value)
            one.__name__, one.__doc__ = f"{make.__name__}_{value:#04x}", make.__doc__
            one.__module__ = make.__module__
            pdus(**expect)(one)
        return make
    return decorate


def good(command, **changes):
    """A proper response to the command, to be spoilt."""
    response = pdu.scsi_response(command.itt)
    for name, value in changes.items():
        setattr(response, name, value)
    return response


### Lengths

@pdus(ends="0 bytes, less than the headers", codes={PROTO})
def empty(_session, _command):
    """A message of no bytes: the connection must end."""
    yield b""


@pdus(ends="28 bytes, less than the headers", codes={PROTO})
def iser_header_alone(_session, command):
    """An iSER header without an iSCSI one: the connection must end."""
    yield bytes(good(command))[:pdu.ISER]


@pdus(ends="75 bytes, less than the headers", codes={PROTO})
def short_by_one(_session, command):
    """One byte less than the headers: the connection must end."""
    yield bytes(good(command))[:pdu.HEADERS - 1]


@pdus(ends="a work request ended with", codes={CONN_FAILED})
def long_by_one(_session, command):
    """One byte more than MaxRecvDataSegmentLength allows; the device refuses it, and the
    connection must end."""
    yield bytes(good(command, data=bytes(129), padded=False))


@pdus(ends="a work request ended with", codes={CONN_FAILED})
def long_by_far(_session, command):
    """64 KiB where 128 bytes are allowed; the device refuses it, and the connection must
    end."""
    yield bytes(good(command, data=bytes(65536)))


@pdus(ends="DataSegmentLength 100 with 20 bytes", codes={DATALEN})
def data_less_than_announced(_session, command):
    """DataSegmentLength is more than there is: the connection must end."""
    yield good(command, data=bytes(20), length=100)


@pdus(ends="DataSegmentLength 16777215 with 0 bytes", codes={DATALEN})
def data_announced_without_any(_session, command):
    """The largest DataSegmentLength and no data: the connection must end."""
    yield good(command, length=0xffffff)


@pdus(ends="DataSegmentLength 20 with 100 bytes", codes={DATALEN})
def data_more_than_announced(_session, command):
    """DataSegmentLength is less than there is: the connection must end."""
    yield good(command, data=bytes(100), length=20)


@pdus(ends="TotalAHSLength 4 in a response", codes={AHSLEN})
def additional_header(_session, command):
    """An additional header segment, which responses do not have: the connection must end."""
    response = good(command, data=bytes(16), length=0)
    response.bhs[4] = 4
    yield response


@pdus(ends="bytes of sense in", codes={DATALEN})
def sense_beyond_data(_session, command):
    """SenseLength 65535 with 18 bytes of sense: the connection must end."""
    yield pdu.Pdu(pdu.SCSI_RESPONSE, 0x80, command.itt, b"\xff\xff" + sense(5, 0x24, 0),
                  b2=b"\0\2")


@pdus(ends="bytes of sense in", codes={DATALEN})
def sense_beyond_by_one(_session, command):
    """SenseLength is one more than there is: the connection must end."""
    yield pdu.Pdu(pdu.SCSI_RESPONSE, 0x80, command.itt, b"\0\x13" + sense(5, 0x24, 0), b2=b"\0\2")


@pdus(ends="bytes of sense in", codes={DATALEN})
def half_of_sense_length(_session, command):
    """CHECK CONDITION with a data segment of one byte: the connection must end."""
    yield pdu.Pdu(pdu.SCSI_RESPONSE, 0x80, command.itt, b"\0", b2=b"\0\2")


### The iSER header

@each((0, 2, 3, 4, 15), ends="iSER opcode", codes={PROTO})
def iser_opcode(_session, command, value):
    """Not an iSCSI control-type PDU (2 is Hello, 3 HelloReply): the connection must end."""
    response = good(command)
    response.iser[0] = value << 4
    yield response


@each((0x4, 0x8, 0xc), ends="advertise a buffer", codes={PROTO})
def iser_advertises(_session, command, value):
    """The target advertises a buffer of its own: the connection must end."""
    response = good(command)
    response.iser[0] |= value
    response.iser[4:28] = b"\x11" * 24
    yield response


@pdus()
def iser_reserved_bits(_session, command):
    """Reserved bits and fields of the iSER header are set on a NOP-In: to be ignored."""
    nop = pdu.nop_in()
    nop.iser[0] |= 3
    nop.iser[1:28] = b"\xff" * 27
    yield nop


### Opcodes

@each((0x00, 0x01, 0x03, 0x05, 0x1c, 0x1f, 0x25, 0x27, 0x30, 0x31, 0x33, 0x3c, 0x3e),
      ends="iSCSI opcode", codes={BAD_OPCODE})
def opcode(_session, command, value):
    """An opcode that an iSER target does not send: Data-In and R2T, those of initiators,
    reserved and vendor-specific ones. The connection must end."""
    yield pdu.Pdu(value, itt=command.itt)


### Answers that were not asked for

def number(itt):
    """An ITT as libiscsi makes it, from its bytes; and the bytes again."""
    return int.from_bytes(itt, "little")


def tag(value):
    return (value & 0xffffffff).to_bytes(4, "little")


@pdus(ends="of no command that waits for one", codes={BAD_ITT})
def itt_never_used(_session, command):
    """A response for a task of the session that is not in use: the connection must end."""
    yield pdu.scsi_response(tag(number(command.itt) ^ 0x40))


@pdus(ends="with ITT .*(not of this session|of no command)", codes={BAD_ITT})
def itt_out_of_range(_session, command):
    """A response for a task beyond the session's last: the connection must end."""
    yield pdu.scsi_response(tag(number(command.itt) | 0x1fff))


@pdus(ends="which is not of this session", codes={BAD_ITT})
def itt_of_another_age(_session, command):
    """A response for a task of an earlier connection of the session: the connection must
    end."""
    yield pdu.scsi_response(tag(number(command.itt) ^ 0x50000000))


@pdus(ends="with ITT 0xffffffff", codes={BAD_ITT})
def itt_reserved(_session, _command):
    """A SCSI response with the reserved tag: the connection must end."""
    yield pdu.scsi_response(b"\xff" * 4)


@pdus(ends="of no command that waits for one|not of this session", codes={BAD_ITT})
def itt_of_login(session, _command):
    """A SCSI response for the task of the login: the connection must end."""
    yield pdu.scsi_response(session.login_itt)


@pdus(ends="of no command that waits for one", codes={BAD_ITT}, io="any")
def response_twice(session, command):
    """The response to a command, twice: the connection must end."""
    session.serve(command)
    yield pdu.scsi_response(command.itt)


@pdus(ends="of no command that waits for one", codes={BAD_ITT})
def response_again(session, command):
    """The response to a command that ended long ago: the connection must end."""
    yield pdu.scsi_response(next(itt for itt in session.finished if itt != command.itt))


@each((pdu.TASK_RESPONSE, pdu.LOGIN_RESPONSE, pdu.TEXT_RESPONSE, pdu.LOGOUT_RESPONSE,
       pdu.NOP_IN), ends=UNASKED, codes=range(1000, 1023))
def answer_to_a_command(_session, command, value):
    """Task management, login, text and logout response and NOP-In with the ITT of a SCSI
    command: the connection must end."""
    yield pdu.Pdu(value, itt=command.itt)


@each((pdu.TASK_RESPONSE, pdu.LOGIN_RESPONSE, pdu.TEXT_RESPONSE, pdu.LOGOUT_RESPONSE),
      ends=UNASKED, codes=range(1000, 1023))
def answer_to_nothing(_session, _command, value):
    """The same with the reserved ITT: the connection must end."""
    yield pdu.Pdu(value)


@each((pdu.NOP_IN, pdu.TASK_RESPONSE, pdu.LOGIN_RESPONSE, pdu.TEXT_RESPONSE,
       pdu.LOGOUT_RESPONSE), ends=UNASKED, codes=range(1000, 1023))
def answer_to_login(session, _command, value):
    """The same with the ITT of the login, which is over: the connection must end."""
    yield pdu.Pdu(value, itt=session.login_itt)


@pdus(ends="NopIn with 16 bytes", codes={PROTO})
def ping_with_data(_session, _command):
    """A ping of the target that carries data: the connection must end."""
    nop = pdu.nop_in(ttt=1)
    nop.data = bytes(16)
    yield nop


### Numbers

@pdus()
def stat_sn_jumps(session, command):
    """StatSN leaps ahead by a million, and then back: the data is right, so it is taken."""
    session.stat_sn += 1000000
    yield pdu.nop_in()
    session.stat_sn -= 1000000
    response = pdu.scsi_response(command.itt)
    response.numbered = False
    response.sequence(session.stat_sn - 1000, session.exp_cmd_sn, session.exp_cmd_sn + 31)
    session.move(command)
    yield response


def nop_with(session, expected, maximum):
    nop = pdu.nop_in()
    nop.numbered = False
    nop.sequence(session.stat_sn, expected, maximum)
    return nop


@pdus()
def window_backwards(session, _command):
    """MaxCmdSN is less than ExpCmdSN less one, which is to be ignored."""
    for back in (2, 1000, 1 << 30, (1 << 31) - 1):
        yield nop_with(session, session.exp_cmd_sn, session.exp_cmd_sn - back)


@pdus()
def window_enormous(session, _command):
    """MaxCmdSN is as far ahead as numbers go: no more than the session's tasks may come of
    it."""
    yield nop_with(session, session.exp_cmd_sn, session.exp_cmd_sn + (1 << 31) - 1)


@pdus()
def expected_ahead(session, _command):
    """ExpCmdSN and MaxCmdSN leap over commands that have not been sent: no command may be
    lost by it."""
    yield nop_with(session, session.exp_cmd_sn + 100, session.exp_cmd_sn + 1000)


@pdus()
def window_shrinks(session, command):
    """A response takes the window back to nothing. MaxCmdSN does not go backwards: to be
    ignored."""
    session.move(command)
    response = pdu.scsi_response(command.itt)
    response.numbered = False
    response.sequence(session.stat_sn, session.exp_cmd_sn, session.exp_cmd_sn - 1)
    session.stat_sn += 1
    yield response


### Floods and messages

@pdus()
def ping_flood(_session, _command):
    """800 NOP-Ins at once that want no answer: to be ignored."""
    for _ in range(800):
        yield pdu.nop_in()


@pdus(loose=True)
def ping_flood_answered(session, _command):
    """800 NOP-Ins at once that want an answer: as many are answered as can be, and either
    the connection ends or it works afterwards."""
    for n in range(800):
        nop = pdu.nop_in(ttt=n)
        nop.sequence(session.stat_sn, session.exp_cmd_sn, session.exp_cmd_sn + 31)
        nop.numbered = False
        yield nop


@each(range(1, 13), loose=True)
def rejected(_session, command, value):
    """The command is rejected, for every reason there is, and then served: it may be
    ignored or end the connection."""
    yield pdu.reject(value, command.request.bhs)


@pdus(ends="Reject with 20 bytes", codes={PROTO})
def rejected_half(_session, command):
    """A Reject with half of a header: the connection must end."""
    yield pdu.reject(5, command.request.bhs[:20])


@pdus(loose=True)
def rejected_nothing_known(_session, _command):
    """A Reject of a header that was never sent: ignored, or the connection ends."""
    yield pdu.reject(9, b"\x40" + bytes(15) + b"\x12\x34\x56\x78" + bytes(28))


@each((0, 1, 2, 3, 4, 5, 255), loose=True)
def event(_session, _command, value):
    """An asynchronous message: a SCSI event with sense, a request to log out, the
    announcement that one or all connections are dropped, a request to negotiate, reserved
    and vendor-specific ones. iscsid may act upon it; I/O goes on afterwards."""
    yield pdu.async_message(value, sense(6, 0x29, 0) if value == 0 else b"", (1, 0, 0))


@pdus(loose=True)
def event_with_garbage(_session, _command):
    """A SCSI event whose SenseLength is more than its data: ignored, or the connection
    ends."""
    message = pdu.async_message(0)
    message.data = struct.pack(">H", 0xffff) + bytes(10)
    yield message


@pdus(ends=UNASKED, codes=range(1000, 1023))
def logout_unasked(session, _command):
    """The answer to a logout that nobody asked for: the connection must end."""
    yield pdu.logout_response(tag(number(session.login_itt) ^ 1))
