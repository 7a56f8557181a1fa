# SPDX-License-Identifier: GPL-2.0
"""The socket by which a test tells the target what to do, and learns what it saw.

One request, one answer, a line of JSON each.
"""
import json
import os
import socket

from .attack import REGISTRY

PATH = "/run/hostile.sock"


class Control:
    """The target's side."""

    def __init__(self, target, path=PATH):
        self.target = target
        self.attack = None
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        target.loop.watch(self.listener.fileno(), self.connection)

    def connection(self):
        peer, _ = self.listener.accept()
        peer.settimeout(10)
        with peer, peer.makefile("rw") as file:
            request = json.loads(file.readline())
            file.write(json.dumps(getattr(self, request.pop("do"))(**request)) + "\n")

    def arm(self, name, offer=None, invalidates=None, **arguments):
        """From now on the target attacks."""
        cls = REGISTRY[name]
        self.attack = self.target.attack = cls(self.target, **arguments)
        self.attack.start()

    def disarm(self):
        self.target.attack = None

    def go(self):
        if self.target.attack:
            self.target.attack.go()

    def hang_up(self):
        """Ends all connections."""
        for session in list(self.target.sessions.values()):
            session.end()

    def negotiate(self, offer, invalidates):
        """What sessions to come are offered."""
        self.target.offer, self.target.invalidates = offer, invalidates

    def result(self):
        """What the attack has found, or null if it is not over."""
        return self.attack and self.attack.result

    def state(self):
        t = self.target
        return {"sessions": [s.number for s in t.live()], "count": t.count,
                "open": len(t.sessions),
                "commands": sum(len(s.commands) for s in t.live())}

    def seen(self):
        """Of the last session."""
        return self.target.seen()

    def progress(self):
        """How far the fuzzer is."""
        a = self.attack
        return {"sent": a.sent, "delivered": a.delivered, "opcodes": a.opcodes}

    def notes(self):
        notes = list(self.target.notes)
        self.target.notes.clear()
        return notes

    def stop(self):
        self.target.loop.running = False


def ask(do, path=PATH, **arguments):
    """The test's side."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(30)
        s.connect(path)
        with s.makefile("rw") as file:
            file.write(json.dumps({"do": do, **arguments}) + "\n")
            file.flush()
            return json.loads(file.readline())
