# SPDX-License-Identifier: GPL-2.0
"""Access to the initiator's memory that a target does not have, or has no more.

Each must end at the target with a remote access error. With another driver than ours the
outcome is only noted: `access` of the result is "granted" or "refused".
"""
from .. import pdu
from .. import verbs as v
from ..attack import Attack, attack

LENGTH = 64
PATTERN = b"\xee" * LENGTH

# What the initiator's own device says of a refused access varies.
REFUSED = {"ends": "(a work request ended with|device reports an error|disconnected|closed)"}


class Access(Attack):
    """One forbidden access, and how it ended."""

    kind = "write"      # or "read", from the target's point of view
    made = False

    def attempt(self, session, key, address, then=None):
        """RDMA Write of a pattern, or RDMA Read. `then()` follows if it was granted."""
        if self.made:
            return
        self.made = True
        link, scratch = session.link, self.target.scratch
        link.fabric.memory.view[scratch:scratch + LENGTH] = PATTERN

        def done(status):
            access = {v.SUCCESS: "granted", v.REMOTE_ACCESS: "refused"}.get(
                status, v.status_name(status))
            self.over(access=access, status=status)
            if then and status == v.SUCCESS and not session.closed:
                then()
        (link.write if self.kind == "write" else link.read)(scratch, LENGTH, address, key, done)


class During(Access):
    """While the command is under way."""

    at = 0

    def command(self, session, command):
        if not self.ours(command) or self.made:
            return False
        key, address, length = command.key
        self.attempt(session, key, address + (length if self.at == "end" else self.at),
                     lambda: session.serve(command))
        return True


@attack(trigger="write", **REFUSED)
class Write_to_a_write(During):
    """RDMA Write into the buffer of a write command."""


@attack(**REFUSED)
class Read_from_a_read(During):
    """RDMA Read from the buffer of a read command."""
    kind = "read"


@attack(**REFUSED)
class Write_past_the_end(During):
    """RDMA Write that begins where a read's buffer ends."""
    at = "end"


@attack(**REFUSED)
class Write_across_the_end(During):
    """RDMA Write whose last half is past the end of a read's buffer."""

    def command(self, session, command):
        if self.ours(command):
            self.at = command.length - LENGTH // 2
        return super().command(session, command)


@attack(**REFUSED)
class Write_before_the_start(During):
    """RDMA Write whose first half is before a read's buffer."""
    at = -LENGTH // 2


@attack(trigger="write", **REFUSED)
class Read_past_the_end(During):
    """RDMA Read that begins where a write's buffer ends."""
    kind, at = "read", "end"


@attack(trigger="write", **REFUSED)
class Read_before_the_start(During):
    """RDMA Read of what lies a page before a write's buffer."""
    kind, at = "read", -4096 - 65536


@attack(**REFUSED)
class Write_by_a_guessed_key(During):
    """RDMA Write by a key next to that of a read command."""

    def command(self, session, command):
        if not self.ours(command) or self.made:
            return False
        key, address, _ = command.key
        self.attempt(session, key ^ 1, address, lambda: session.serve(command))
        return True


class Afterwards(Access):
    """When the command has ended, for the application too."""

    old = None

    def respond(self, session, command, response):
        if not self.ours(command) or self.old:
            return False
        self.old = command.key
        self.last(session, command, response)
        return True

    def last(self, session, command, response):
        """Remote invalidation is left out, negotiated or not."""
        session.forget(command)
        session.send(response)

    def go(self):
        session = self.target.live()[0]
        self.attempt(session, *self.old[:2])


@attack(invalidates=False, **REFUSED)
class Write_after_a_read(Afterwards):
    """RDMA Write into a read's buffer after its response; remote invalidation is not
    negotiated."""


@attack(**REFUSED)
class Write_after_a_read_not_invalidated(Afterwards):
    """The same; remote invalidation is negotiated, and was not done."""


@attack(**REFUSED)
class Write_after_a_read_invalidated(Afterwards):
    """The same; remote invalidation was negotiated and done."""

    def last(self, session, command, response):
        session.finish(command, response)


@attack(trigger="write", invalidates=False, **REFUSED)
class Read_after_a_write(Afterwards):
    """RDMA Read from a write's buffer after its response; remote invalidation is not
    negotiated."""
    kind = "read"


@attack(trigger="write", **REFUSED)
class Read_after_a_write_not_invalidated(Afterwards):
    """The same; remote invalidation is negotiated, and was not done."""
    kind = "read"


@attack(trigger="write", **REFUSED)
class Read_after_a_write_invalidated(Afterwards):
    """The same; remote invalidation was negotiated and done."""
    kind = "read"

    def last(self, session, command, response):
        session.finish(command, response)


@attack(trigger="two reads", invalidates=False, **REFUSED)
class Write_by_the_key_of_an_ended_command(Access):
    """Two reads: the first is answered, then its key is used while the second is under
    way."""

    first = None

    def command(self, session, command):
        if not self.ours(command) or self.made:
            return False
        if self.first is None:
            self.first = command
            return True
        self.second = command
        session.serve(self.first)
        return True

    def responded(self, session, command):
        if command is self.first:
            # The device has taken the response. The initiator has dealt with it once it
            # answers a ping that was sent behind it.
            session.send(pdu.nop_in(ttt=7))

    def received(self, session, request):
        if self.first and request.opcode == pdu.NOP_OUT and request.word20 == 7:
            self.attempt(session, *self.first.key[:2], lambda: session.serve(self.second))
            return True
        return False


class Abandoned(Access):
    """When the initiator has given up the command, was told that it ended, and has given
    the buffer back to the application."""

    old, given_up = None, False

    def command(self, session, command):
        if not self.ours(command) or self.old:
            return False
        self.old, self.session = command.key, session
        return True

    def task_request(self, session, request, aborted):
        # The usual answer is given.
        self.given_up |= any(c.key == self.old for c in aborted)

    def go(self):
        if self.given_up:
            self.attempt(self.session, *self.old[:2])
        else:
            self.over(access="the command was never given up")


@attack(trigger="abort", **REFUSED)
class Write_after_an_abort(Abandoned):
    """RDMA Write into a read's buffer after the command was aborted, and that answered."""


@attack(trigger="abort write", **REFUSED)
class Read_after_an_abort(Abandoned):
    """RDMA Read from a write's buffer after the command was aborted, and that answered."""
    kind = "read"


@attack(trigger="reset", **REFUSED)
class Write_after_a_lun_reset(Abandoned):
    """RDMA Write into a read's buffer after the LUN was reset, and that answered."""


@attack(trigger="reset write", **REFUSED)
class Read_after_a_lun_reset(Abandoned):
    """RDMA Read from a write's buffer after the LUN was reset, and that answered."""
    kind = "read"


class Elsewhere(Access):
    """Through a session that the key is not for."""

    def command(self, session, command):
        if not self.ours(command) or self.made or session.name != self.target.names[0]:
            return False
        others = self.target.live(self.target.names[1])
        key, address, _ = command.key
        self.attempt(others[0], key, address)
        self.then = session, command
        return True

    def over(self, **result):
        super().over(**result)
        session, command = self.then
        session.serve(command)


@attack(trigger="two sessions", **REFUSED)
class Write_through_another_session(Elsewhere):
    """RDMA Write into the buffer of a read of one session, through the queue pair of
    another."""


@attack(trigger="two sessions write", **REFUSED)
class Read_through_another_session(Elsewhere):
    """RDMA Read from the buffer of a write of one session, through the queue pair of
    another."""
    kind = "read"
