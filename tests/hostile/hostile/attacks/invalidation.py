# SPDX-License-Identifier: GPL-2.0
"""Remote invalidation that was not agreed upon, or not of this key."""
from .. import pdu
from ..attack import Attack, attack, pdus
from .pdus import CONN_FAILED, PROTO


@attack(ends="invalidates another key", codes={PROTO}, trigger="two reads")
class Key_of_another_command(Attack):
    """Two reads are under way; the response to the first invalidates the key of the second.
    The connection must end, and both commands with the right data."""

    first = None

    def command(self, session, command):
        if not self.ours(command):
            return False
        if self.first is None or self.first[0] is not session:
            self.first = session, command
            return True
        session.forget(self.first[1])
        session.send(pdu.scsi_response(self.first[1].itt), invalidate=command.key[0])
        self.over()
        return True


@pdus(ends="a work request ended with|invalidates another key", codes={CONN_FAILED, PROTO})
def key_never_advertised(_session, command):
    """A key is invalidated that was never advertised; the device refuses it, and the
    connection must end."""
    yield pdu.scsi_response(command.itt), command.key[0] ^ 0x5a00


@pdus(ends="a work request ended with|invalidates another key", codes={CONN_FAILED, PROTO})
def key_of_another_generation(_session, command):
    """The key of the command's region, but of another registration of it; the device
    refuses it, and the connection must end."""
    yield pdu.scsi_response(command.itt), command.key[0] ^ 0x5a


@pdus(ends="remote invalidation, which was not negotiated", codes={PROTO}, invalidates=False)
def not_negotiated(_session, command):
    """The command's key is invalidated though the target had said that it would not: the
    connection must end."""
    yield pdu.scsi_response(command.itt), command.key[0]


@pdus(ends="remote invalidation by a PDU that is not a SCSI response", codes={PROTO})
def by_a_ping(_session, command):
    """A NOP-In invalidates a command's key: the connection must end."""
    yield pdu.nop_in(), command.key[0]


@pdus(ends="of no command that waits for one|invalidates", codes=range(1000, 1023))
def by_the_wrong_response(_session, command):
    """A response to another task invalidates the command's key: the connection must end."""
    yield pdu.scsi_response(bytes([command.itt[0] ^ 0x40]) + command.itt[1:]), command.key[0]


@attack()
class Left_out(Attack):
    """Remote invalidation is negotiated, and not done: the command ends nevertheless. (That
    nobody has access afterwards is what the attacks of group access are for.)"""

    def respond(self, session, command, response):
        if not self.ours(command):
            return False
        session.forget(command)
        session.send(response)
        self.over()
        return True


@attack(trigger="write")
class Left_out_of_a_write(Left_out):
    """The same with a write."""
