# SPDX-License-Identifier: GPL-2.0
"""What an attack is, and how one is written.

An attack is a function or a class in one of the modules of `hostile.attacks`. Its name is
the function's with dashes, its docstring says what it does and what the initiator must
do, and the decorator says what the judge (tests/hostile/judge) shall see:

    @pdus(ends="iSCSI opcode 0x25", codes={1009})
    def data_in(session, command):
        \"\"\"SCSI Data-In, which iSER has no use for: the connection must end.\"\"\"
        yield pdu.Pdu(pdu.DATA_IN, itt=command.itt)

With `@pdus` it is a generator of what is sent, instead of the response to the judge's
read command: Pdu objects, bytes that go out as they are, or `(pdu, key)` to invalidate
`key` with it. After the last, a command that is still open is served properly unless the
attack says `ends`. For all else it is a class derived from `Attack` that overrides the
hooks it needs; a hook returns true if the target is not to go on as usual. An attack is
over when it calls `self.over(**result)`; from then on the target behaves.
"""
import inspect

from . import pdu

REGISTRY = {}

# Commands of the judge are known by where they go; the kernel's own are elsewhere.
FIRST_BLOCK, LAST_BLOCK = 8192, 16384


class Expect:
    """What the initiator must do.

    ends    a pattern: the connection ends with this reason in the log; None: it stays up
    codes   the iSCSI errors that it may be reported with to user space
    trigger what the judge does: "read", "write", "login", "idle" (nothing), …
    loose   whether it ends or not is left to the initiator
    offer   what the target has to negotiate, {key: value}
    invalidates  whether remote invalidation is negotiated
    """

    def __init__(self, ends=None, codes=(), trigger="read", loose=False, offer=None,
                 invalidates=True, io="ok"):
        self.ends, self.codes, self.trigger, self.loose = ends, set(codes), trigger, loose
        self.offer, self.invalidates, self.io = offer or {}, invalidates, io

    def as_dict(self):
        return {**self.__dict__, "codes": sorted(self.codes)}


class Attack:
    """Hooks that do nothing. Those with a return value take over if it is true."""

    expect = Expect()

    def __init__(self, target, **arguments):
        self.target, self.arguments = target, arguments
        self.result = None

    @classmethod
    def about(cls):
        return inspect.cleandoc(cls.__doc__ or "")

    def over(self, **result):
        """Ends the attack. `result` is for the judge."""
        if self.result is None:
            self.result = {"made": True, **result}
            if self.target.attack is self:
                self.target.attack = None

    def under_way(self, **result):
        """Notes the result of an attack that goes on until it is disarmed."""
        if self.result is None:
            self.result = {"made": True, **result}

    @staticmethod
    def ours(command):
        """Whether it is a command of the judge's."""
        lba = command.transfer.lba
        return lba is not None and FIRST_BLOCK <= lba < LAST_BLOCK

    def start(self):
        """The attack has been armed."""

    def go(self):
        """The judge says that what it waited for has happened."""

    def connect_request(self, ident, data):
        """Before a connection is accepted."""

    def cm_event(self, session, kind):
        """An event of the connection manager."""

    def received(self, session, request):
        """Any PDU has come."""

    def login(self, session, request, response):
        """A login request has come; `response` is what would be sent."""

    def logged_in(self, session):
        """The last login response has been sent."""

    def command(self, session, command):
        """A SCSI command has come; its data has not been moved."""

    def respond(self, session, command, response):
        """The data has been moved, `response` would be sent."""

    def responded(self, session, command):
        """A response has been sent, and taken by the initiator's device."""

    def task_request(self, session, request, aborted):
        """A task management request has come, about the commands `aborted`."""

    def closed(self, session):
        """A connection has ended."""


def register(cls, name=None):
    cls.name = name or getattr(cls, "name", None) or cls.__name__.lower()
    assert cls.__doc__ and cls.name not in REGISTRY, cls.name
    cls.group = cls.__module__.rsplit(".", 1)[-1]
    REGISTRY[cls.name] = cls
    return cls


def attack(**expect):
    """Registers a class; its name is that of the class, Foo_bar is foo-bar."""
    def decorate(cls):
        cls.expect = Expect(**expect)
        return register(cls, cls.__name__.lower().replace("_", "-"))
    return decorate


class Sends(Attack):
    """Sends what a generator yields, when a command of the judge's has come."""

    def command(self, session, command):
        if not self.ours(command):
            return False
        sent = 0
        for item in type(self).make(session, command):
            item, key = item if isinstance(item, tuple) else (item, None)
            if isinstance(item, pdu.Pdu) and item.bhs[0] == pdu.SCSI_RESPONSE \
                    and item.bhs[16:20] == command.itt:
                session.forget(command)
            session.send(item, invalidate=key)
            sent += 1
        self.over(sent=sent)
        if not command.finished and self.expect.ends is None:
            session.serve(command)
        return True


def pdus(**expect):
    """Makes an attack of a generator; see above."""
    def decorate(make):
        cls = type(make.__name__, (Sends,), {"__doc__": make.__doc__, "make": staticmethod(make),
                                            "expect": Expect(**expect),
                                            "__module__": make.__module__})
        register(cls, make.__name__.replace("_", "-"))
        return make
    return decorate
