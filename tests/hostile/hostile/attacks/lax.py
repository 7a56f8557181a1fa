# SPDX-License-Identifier: GPL-2.0
"""What a target may do, and who runs it wants to find. Not judged: see tests/vm/observe,
recipes.sh and drops.sh. It goes on until it is disarmed."""
from .. import pdu
from ..attack import Attack, attack


@attack()
class Withheld(Attack):
    """Remote invalidation is negotiated and never done: commands end as ever, a little later. Tags
    and keys are noted."""

    def respond(self, session, command, response):
        if command.key:
            self.target.note(itt=int.from_bytes(command.itt, "little"), stag=command.key[0])
        session.forget(command)
        session.send(response)
        self.under_way()
        return True


@attack()
class Wrong_password(Attack):
    """Logins are refused as if the password was wrong."""

    def login(self, session, request, response):
        session.login.done = False
        session.send(session.login.response(request, request.bhs[1] & 0x0c, [], status=(2, 1)))
        self.under_way()
        return True


@attack()
class Takes_nothing(Attack):
    """The judge's reads are not answered. Told to go on, or to abort one, it has its device take
    nothing any more, see Link.deafen(). When there is nothing left to take anything by, the abort is
    answered, as if nothing was wrong. Told to go on a second time, it answers the reads, without
    invalidation, and a third time, it takes everything again. It is over when the connection is."""

    PAUSE = 1       # seconds from when nothing is taken until an abort is answered

    def start(self):
        self.held, self.gone = [], 0
        self.under_way(held=0, ready=None)

    def received(self, session, request):
        self.result["ready"] = session.link.ready

    def command(self, session, command):
        if not self.ours(command) or not command.request.reads:
            return False
        self.held.append((session, command))
        self.result["held"] = len(self.held)
        return True

    def go(self):
        self.gone += 1
        for session, command in self.held:
            if self.gone == 1:
                session.link.deafen()
            elif self.gone == 2:
                session.move(command)
                session.forget(command)
                session.send(pdu.scsi_response(command.itt))
            else:
                session.link.hear()

    def task_request(self, session, request, aborted):
        session.link.deafen()
        self.answer(session, pdu.task_response(request.itt))
        return True

    def answer(self, session, response):
        if session.closed:
            return
        if session.link.ready:
            self.target.loop.after(0.1, lambda: self.answer(session, response))
            return
        self.target.loop.after(self.PAUSE, lambda: session.closed or session.send(response))

    def closed(self, session):
        if self.target.attack is self and any(session is of for of, _ in self.held):
            self.target.attack = None
