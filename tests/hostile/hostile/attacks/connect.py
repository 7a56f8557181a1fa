# SPDX-License-Identifier: GPL-2.0
"""Connections that a target does not answer, refuses, or ends when it should not."""
from .. import pdu
from .. import verbs as v
from ..attack import Attack, Expect, attack, register
from ..fabric import private_data


### Answers to a connection request

@attack(trigger="login", io="fails")
class Silence(Attack):
    """A connection request is never answered: the login fails after a while."""

    def connect_request(self, ident, data):
        self.target.loop.after(30, lambda: v.destroy_id(ident))
        self.under_way()
        return True


@attack(trigger="login", io="fails", ends="refused")
class Refused(Attack):
    """Every connection request is rejected: the login fails at once, and says why."""

    data = b""

    def connect_request(self, ident, data):
        v.reject(ident, self.data, len(self.data))
        v.destroy_id(ident)
        self.under_way()
        return True


@attack(trigger="login", io="fails", ends="refused")
class Refused_with_data(Refused):
    """The same with 148 bytes of private data."""
    data = bytes(range(148))


@attack(trigger="login", io="fails", ends="refused")
class Refused_for_its_extensions(Attack):
    """The same for a reason of the connection manager's own (ECE not supported)."""

    def connect_request(self, ident, data):
        v.reject_ece(ident)
        v.destroy_id(ident)
        self.under_way()
        return True


@attack(trigger="login", io="fails")
class Mute(Attack):
    """The connection is accepted, and nothing is said then: the login fails."""

    def received(self, session, request):
        self.under_way()
        return True


@attack(trigger="login", io="fails")
class Deaf(Attack):
    """The connection is accepted, but there is no room to receive anything: the login
    fails."""

    def connect_request(self, ident, data):
        self.target.accept(ident, receives=0)
        self.under_way()
        return True


class Private(Attack):
    """Private data of any length and content in the answer: the login succeeds, whatever
    it says."""

    data = b""

    def connect_request(self, ident, data):
        session = self.target.accept(ident, self.data)
        # What it says of remote invalidation is what we then do.
        session.invalidates = not self.data[:1] or not self.data[0] & 0x40
        self.over(length=len(self.data))
        return True


for _name, _data in {"none": b"", "1-zero": b"\0", "1-ones": b"\xff", "3": b"\xc0\1\2",
                     "4-ones": b"\xff" * 4, "4-plain": private_data(), "5": b"\x40" * 5,
                     "64": bytes(range(64)), "196-ones": b"\xff" * 196,
                     "196": bytes(range(196))}.items():
    register(type(f"Private_{_name}", (Private,), {
        "__doc__": Private.__doc__, "__module__": __name__, "data": _data,
        "expect": Expect(trigger="login", io="ok")}), f"private-data-{_name}")


### Ends of a connection

class Hangs_up(Attack):
    """The target disconnects: the login fails or is tried again, and nothing is left
    over."""

    times = 0

    def hang_up(self, session):
        session.end()
        self.under_way()
        return True


@attack(trigger="login", io="any")
class Hangs_up_at_once(Hangs_up):
    """The target disconnects as soon as the connection is up."""

    def cm_event(self, session, kind):
        return kind == v.ESTABLISHED and self.hang_up(session)


@attack(trigger="login", io="any")
class Hangs_up_at_login(Hangs_up):
    """The target disconnects when the first login request has come."""

    def login(self, session, request, response):
        return self.hang_up(session)


@attack(trigger="login", io="any")
class Hangs_up_in_login(Hangs_up):
    """The target disconnects after the first login response."""

    def login(self, session, request, response):
        if request.bhs[1] >> 2 & 3 or session.login.done:
            return self.hang_up(session)
        return False


@attack(trigger="login", io="any")
class Hangs_up_behind_login(Hangs_up):
    """The target disconnects right after the last login response."""

    def login(self, session, request, response):
        if session.login.done:
            session.full_feature = True
            session.send(response, done=lambda _: self.armed() and self.hang_up(session))
            return True
        return False

    def armed(self):
        """The response may have left when the attack was called off."""
        return self.target.attack is self


@attack(trigger="read", ends="")
class Hangs_up_in_a_command(Attack):
    """The target disconnects when a command has come."""

    def command(self, session, command):
        if not self.ours(command):
            return False
        session.end()
        self.over()
        return True


@attack(trigger="write", ends="")
class Hangs_up_in_a_write(Hangs_up_in_a_command):
    """The target disconnects when a write has come, before it has fetched the data."""


@attack(trigger="read", ends="")
class Hangs_up_in_the_data(Attack):
    """The target disconnects when a command's data has been moved."""

    def respond(self, session, command, response):
        if not self.ours(command):
            return False
        session.end()
        self.over()
        return True


@attack(trigger="logout")
class Holds_on(Attack):
    """The initiator's disconnect is never answered: it does not wait for it."""

    def cm_event(self, session, kind):
        if kind != v.DISCONNECTED:
            return False
        self.target.loop.after(30, session.end)
        self.over()
        return True


### PDUs that are for later

class Too_early(Attack):
    """Before the first login response comes a PDU of the full-feature phase: the login goes
    on or fails."""

    def login(self, session, request, response):
        session.send(self.early())
        self.under_way()
        return False


for _name, _early in {"event": lambda: pdu.async_message(1), "ping": lambda: pdu.nop_in(ttt=7),
                      "reject": lambda: pdu.reject(4, b"\x43" + bytes(47)),
                      "logout-response": lambda: pdu.logout_response(b"\xff" * 4)}.items():
    register(type(f"Early_{_name}", (Too_early,), {
        "__doc__": Too_early.__doc__, "__module__": __name__, "early": staticmethod(_early),
        "expect": Expect(trigger="login", io="any")}), f"early-{_name}")


### Login responses that do not fit

class Login_answer(Attack):
    """The first login response is not what it must be: the login fails, and the connection
    ends if the PDU breaks a rule."""

    def login(self, session, request, response):
        session.send(self.spoil(session, request, response))
        self.under_way()
        return True


def login_answer(name, **expect):
    def decorate(spoil):
        expect.setdefault("io", "fails")
        register(type(name, (Login_answer,), {
            "__doc__": Login_answer.__doc__ + f"\n\nHere: {spoil.__doc__}", "__module__": __name__,
            "expect": Expect(trigger="login", **expect),
            "spoil": lambda self, *args: spoil(*args)}), f"login-{name}")
        return spoil
    return decorate


@login_answer("too-short", ends="less than the headers")
def _(session, request, response):
    """60 bytes."""
    return bytes(response)[:60]


@login_answer("too-long", ends="")
def _(session, request, response):
    """8,193 bytes of text."""
    response.data, response.padded = bytes(8193), False
    return response


@login_answer("longest", io="any")
def _(session, request, response):
    """8,192 bytes of keys that nobody has asked for."""
    response.data = (b"X-org.example.%05d=x\0" * 400 % tuple(range(400)))[:8191] + b"\0"
    return response


@login_answer("length", ends="DataSegmentLength")
def _(session, request, response):
    """DataSegmentLength is more than there is."""
    response.length = 8192
    return response


@login_answer("itt", ends="does not fit|of no|not of this session")
def _(session, request, response):
    """The answer to another task."""
    response.bhs[16] ^= 0x40
    return response


@login_answer("scsi-response", ends="SCSI response")
def _(session, request, response):
    """A SCSI response with the ITT of the login."""
    return pdu.scsi_response(request.itt)


@login_answer("text-response", io="any")
def _(session, request, response):
    """A text response."""
    return pdu.text_response(request.itt, [("A", "b")])


@login_answer("status", io="fails")
def _(session, request, response):
    """A status class that does not exist."""
    response.bhs[36:38] = b"\x7f\xff"
    return response


@login_answer("garbage", io="any")
def _(session, request, response):
    """Text without a key, without an end."""
    response.data = b"\xff=\0\0==\0" + bytes(range(1, 250)) * 8
    return response
