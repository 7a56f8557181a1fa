# SPDX-License-Identifier: GPL-2.0
"""PDUs by chance. Not for the judge: tests/hostile/fuzz drives it."""
import random
import struct

from .. import pdu
from .. import verbs as v
from ..attack import Attack, register
from ..disk import sense

# How a connection goes: most PDUs at a time that may well be survived, and how likely a
# command is to bring one that may not.
MANNERS = ((2, 0.5), (10, 0.2), (60, 0.05), (60, 0.02))
LOGINS = 0.05           # logins that are answered by something odd
PAYLOAD = 128


def corpus(rng, session, command):
    """A PDU that is right, of every kind that a target sends."""
    number = struct.pack(">I", rng.getrandbits(32))
    return rng.choice((
        lambda: pdu.scsi_response(command.itt),
        lambda: pdu.scsi_response(command.itt, pdu.CHECK_CONDITION, sense(5, 0x24, 0), 64),
        lambda: pdu.scsi_response(command.itt, pdu.BUSY, residual=-64),
        lambda: pdu.nop_in(), lambda: pdu.nop_in(ttt=7),
        lambda: pdu.task_response(command.itt, rng.randrange(7)),
        lambda: pdu.Pdu(pdu.LOGIN_RESPONSE, 0x87, session.login_itt, b"A=b\0"),
        lambda: pdu.text_response(command.itt, [("TargetName", "iqn.x")]),
        lambda: pdu.logout_response(number),
        lambda: pdu.async_message(rng.randrange(6), sense(6, 0x29, 0)),
        lambda: pdu.reject(rng.randrange(13), command.request.bhs),
        lambda: pdu.Pdu(pdu.R2T, itt=command.itt), lambda: pdu.Pdu(pdu.DATA_IN, itt=command.itt),
    ))()


def harmless(rng, session, command):
    """A PDU that may be ignored or answered, with whatever can be odd about it."""
    def odd(length):
        return rng.randbytes(length)
    what = rng.choice((
        lambda: pdu.nop_in(), lambda: pdu.nop_in(),
        lambda: pdu.nop_in(ttt=rng.getrandbits(31), lun=odd(8) if rng.random() < .5 else bytes(8)),
        lambda: pdu.async_message(rng.choice((0, 0, 255, 77)), odd(rng.randrange(1, 100)),
                                  (rng.getrandbits(16), 0, 0), odd(8)),
        lambda: pdu.reject(rng.choice((1, 3, 4, 5, 9, 10, 11, 77)),
                           b"\x05" + odd(pdu.BHS - 1 + rng.randrange(40))),
    ))()
    what.iser[0] |= rng.getrandbits(2)
    what.iser[1:4] = odd(3)
    what.bhs[0] |= 0xc0 & odd(1)[0]
    what.numbered = False
    what.sequence(rng.getrandbits(32), session.exp_cmd_sn,
                  session.exp_cmd_sn + rng.choice((31, 31, -2, -1000, 127)))
    if rng.random() < .3:
        what.bhs[40:48] = odd(8)
    return bytes(what)


def answer(rng, session, command):
    """A response to a command, that may say anything."""
    response = pdu.scsi_response(
        command.itt, rng.choice((0, 0, 2, 2, 8, 0x18, 0x28, 0x30, 0x40, rng.randrange(256))),
        rng.randbytes(rng.choice((0, 8, 18, 96, 126))), rng.randrange(-1 << 20, 1 << 20),
        rng.choice((0, 0, 0, 1, rng.randrange(256))))
    response.bhs[1] = rng.getrandbits(8) | 0x80
    response.sequence(session.stat_sn, session.exp_cmd_sn, session.exp_cmd_sn + 31)
    response.bhs[36:48] = rng.randbytes(12)
    return response


def wild(rng, session, command):
    """A PDU out of the corpus, changed at some places."""
    base = corpus(rng, session, command)
    if rng.random() < .2:
        base.length = rng.choice((0, 1, 47, 48, 127, 128, 129, 0xffff, 0xffffff, rng.getrandbits(24)))
    if rng.random() < .2:
        base.data = rng.randbytes(rng.choice((0, 1, 2, 3, 20, 48, 127, PAYLOAD, PAYLOAD + 1, 4000)))
    raw = bytearray(bytes(base))
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.choice((0, 28, 29, 30, 31, 32, 35, 44, 45, 46, 47, 76, 77,
                         rng.randrange(max(len(raw), 1))))
        if at < len(raw):
            raw[at] = rng.choice((raw[at] ^ 1 << rng.randrange(8), rng.getrandbits(8), 0, 0xff))
    if rng.random() < .1:
        del raw[rng.randrange(len(raw)):]
    return bytes(raw)


class Fuzz(Attack):
    """Every command is answered by some PDUs that may be ignored, a response that may say
    anything, and now and then one PDU that is out of bounds; a login now and then by one.
    `delivered` counts those that the initiator's device has taken."""

    def __init__(self, target, seed=0):
        super().__init__(target)
        self.rng = random.Random(seed)
        self.calm, self.wildness = MANNERS[1]
        self.sent = self.delivered = self.connections = 0
        self.opcodes = {}

    def send(self, session, raw, invalidate=None):
        def done(status):
            self.delivered += status == v.SUCCESS
        self.sent += 1
        raw = bytes(raw)
        if len(raw) > pdu.ISER:
            self.opcodes[raw[pdu.ISER] & 0x3f] = self.opcodes.get(raw[pdu.ISER] & 0x3f, 0) + 1
        session.send(raw, done, invalidate)

    def logged_in(self, session):
        self.connections += 1
        self.calm, self.wildness = self.rng.choice(MANNERS)

    def login(self, session, request, response):
        if self.rng.random() > LOGINS:
            return False
        raw = bytearray(bytes(response))
        for _ in range(self.rng.randrange(1, 6)):
            raw[self.rng.randrange(min(len(raw), 120))] = self.rng.getrandbits(8)
        if self.rng.random() < .2:
            raw += bytes(self.rng.choice((1, 100, 8192)))
        self.send(session, bytes(raw))
        return True

    def command(self, session, command):
        rng = self.rng
        for _ in range(rng.randrange(self.calm)):
            self.send(session, harmless(rng, session, command))
        if not self.ours(command):
            return False
        if rng.random() < self.wildness:
            key = rng.choice((None, None, None, command.key and command.key[0], rng.getrandbits(32)))
            self.send(session, wild(rng, session, command), key)
        session.move(command) if not command.transfer.write else None
        session.forget(command)
        self.send(session, answer(rng, session, command),
                  command.key[0] if command.key and rng.random() < .5 else None)
        return True


register(Fuzz)
