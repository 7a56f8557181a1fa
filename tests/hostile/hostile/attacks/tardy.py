# SPDX-License-Identifier: GPL-2.0
"""A target that keeps to the protocol, but not to the initiator's patience. Not for the judge:
tests/vm/fault/error-handling.sh drives it."""
import collections
import random

from .. import pdu
from .. import verbs as v
from ..attack import Attack, register

ABORT_TASK, LUN_RESET, TARGET_RESET = 1, 5, 6
KINDS = {ABORT_TASK: "aborts", LUN_RESET: "lun_resets", TARGET_RESET: "target_resets"}
NO_SUCH_TASK = 1        # response to an abort


class Tardy(Attack):
    """Serves commands, by `mode`: "well"; "slow", some about when the initiator aborts them,
    which is after `patience` seconds; "late", some not before the mode changes, and requests
    to abort are answered after up to that time, too; "touch", which accesses the memory of one
    command after its abort was answered, once.

    What is aborted is either done before the answer, or never."""

    PART = 0.3              # of the commands are not served at once
    # Of all that were armed, as commands outlive a change of the mode.
    seen, held, started = collections.Counter(), [], set()

    def __init__(self, target, mode="well", patience="4"):
        super().__init__(target)
        self.mode, self.patience, self.touched = mode, float(patience), False
        self.result = self.seen

    def start(self):
        held, self.held[:] = list(self.held), []
        for session, command in held:
            self.serve(session, command)

    def logged_in(self, session):
        """The initiator's other session ends with that (RFC 7143 section 6.3.5)."""
        for other in self.target.live(session.name):
            if other is not session:
                other.end()

    def command(self, session, command):
        if command.transfer.lba is None or self.mode == "well" or random.random() > self.PART:
            self.serve(session, command)
        elif self.mode == "slow":
            self.seen["slow"] += 1
            self.target.loop.after(random.uniform(0.5, 1.5) * self.patience,
                                   lambda: self.serve(session, command))
        else:
            self.seen["held"] += 1
            self.held.append((session, command))
        return True

    def serve(self, session, command):
        if not session.closed and not command.finished and command not in self.started:
            self.started.add(command)
            session.serve(command)

    def respond(self, session, command, response):
        self.started.discard(command)

    def closed(self, session):
        self.started.difference_update(session.commands.values())

    def task_request(self, session, request, aborted):
        function = request.bhs[1] & 0x7f
        self.seen[KINDS.get(function, "others")] += 1
        known = bool(aborted)
        # By turns what was not begun is done all the same, or never will be.
        if self.mode != "touch" and random.random() < 0.5:
            self.seen["done_although_aborted"] += len(aborted)
            for command in aborted:
                self.serve(session, command)
        waits = [c for c in aborted if c in self.started]
        ended = [c for c in aborted if c not in self.started and not c.finished]
        for command in ended:
            session.forget(command)
        answer = pdu.task_response(request.itt, 0 if known or function != ABORT_TASK else NO_SUCH_TASK)
        delay = 0
        if self.mode == "late":
            delay = random.uniform(0, 1) * self.patience
            self.seen["late_answers"] += delay > self.patience / 2
        self.target.loop.after(delay, lambda: self.answer(session, answer, waits, ended))
        return True

    def answer(self, session, answer, waits, ended):
        """When all that the initiator wants to have ended has ended."""
        if session.closed:
            return
        if any(not c.finished for c in waits):
            self.target.loop.after(0.01, lambda: self.answer(session, answer, waits, ended))
            return
        session.send(answer)
        if self.mode == "touch" and not self.touched:
            for command in ended:
                if command.key and not self.touched:
                    self.touched = True
                    self.target.loop.after(self.patience / 2, lambda c=command: self.touch(session, c))

    def touch(self, session, command):
        """Accesses the memory of a command that was aborted, as its own data was meant to go."""
        key, address, length = command.key
        link, scratch = session.link, self.target.scratch
        link.fabric.memory.view[scratch:scratch + length] = b"\xee" * length

        def done(status):
            outcome = {v.SUCCESS: "granted", v.REMOTE_ACCESS: "refused"}.get(status, "not_made")
            self.seen[outcome] += 1
            if outcome == "not_made":
                self.touched = False
        if session.closed:
            return done(None)
        return (link.write if command.request.reads else link.read)(scratch, length, address, key, done)


register(Tardy)
