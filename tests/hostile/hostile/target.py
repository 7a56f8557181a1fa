# SPDX-License-Identifier: GPL-2.0
"""The target: sessions on links, commands on the disk, and the hooks of attacks."""
import collections

from . import login, pdu
from . import verbs as v
from .disk import BLOCK, Disk, sense
from .fabric import Fabric, Link, Loop, Memory, private_data

WINDOW = 32             # commands that the initiator may have under way
SCRATCH = 1 << 20       # memory for attacks


class Command:
    """A SCSI command under way."""

    def __init__(self, request, transfer):
        self.request, self.transfer = request, transfer
        self.itt, self.lun, self.cdb = request.itt, request.lun, request.cdb
        self.length = request.word20
        self.sent = len(request.data)       # bytes of data that have come unsolicited
        self.finished = False

    @property
    def key(self):
        """(rkey, first address, bytes) of the region that was advertised, or None."""
        r = self.request
        if r.reads:
            return r.read_stag, r.read_base, self.length
        if r.writes:
            return r.write_stag, r.write_base, self.length - self.sent
        return None


class Session:
    """A connection, from the first login request on."""

    def __init__(self, target, link, number):
        self.target, self.link, self.number = target, link, number
        self.login = login.Login(target.offer, target.names)
        self.full_feature = self.closed = False
        self.stat_sn, self.exp_cmd_sn = 1, 1
        self.commands = {}
        self.login_itt, self.finished = None, collections.deque(maxlen=16)
        self.invalidates = target.invalidates
        self.most = collections.Counter()       # for Target.seen()
        link.received, link.lost = self.received, self.lost

    @property
    def name(self):
        return self.login.target_name

    def send(self, what, done=None, invalidate=None):
        """Sends a Pdu, numbered if it wants to be, or bytes as they are."""
        if isinstance(what, pdu.Pdu) and what.numbered:
            what.sequence(self.stat_sn, self.exp_cmd_sn, self.exp_cmd_sn + WINDOW - 1)
            self.stat_sn += what.takes_stat_sn
        self.link.send(bytes(what), done, invalidate)

    def lost(self, what):
        self.target.note(event="lost", session=self.number, what=what)
        self.end()

    def end(self, at_once=True):
        if not self.closed:
            self.closed = True
            self.target.sessions.pop(self.link.ident, None)
            self.target.hook("closed", self)
            if at_once:
                self.link.close()
            else:
                self.link.leave()

    def received(self, raw):
        request = pdu.Received(raw)
        if self.target.hook("received", self, request):
            return
        if not self.full_feature:
            return self.answer_login(request)
        if not request.immediate and request.opcode != pdu.DATA_OUT:
            self.exp_cmd_sn = request.cmd_sn + 1
        handler = {pdu.SCSI_COMMAND: self.command, pdu.DATA_OUT: self.data_out,
                   pdu.NOP_OUT: self.nop_out, pdu.TASK_REQUEST: self.task_request,
                   pdu.TEXT_REQUEST: self.text, pdu.LOGOUT_REQUEST: self.logout}
        handler[request.opcode](request)

    def answer_login(self, request):
        if not self.login.keys:
            self.exp_cmd_sn = request.cmd_sn
        self.login_itt = request.itt
        response = self.login.answer(request)
        if self.target.hook("login", self, request, response):
            return
        if self.login.done:
            self.full_feature = True
            self.target.note(event="login", session=self.number, target=self.name)
        self.send(response)
        if self.login.done:
            self.target.hook("logged_in", self)

    def text(self, request):
        keys = login.targets_text(self.target.names, self.target.portals) \
            if "SendTargets" in request.text() else []
        self.send(pdu.text_response(request.itt, keys))

    def nop_out(self, request):
        if request.itt != b"\xff" * 4:
            response = pdu.nop_in(request.itt)
            response.data = request.data
            self.send(response)

    def logout(self, request):
        self.send(pdu.logout_response(request.itt))

    def task_request(self, request):
        """Aborted commands are forgotten, then that is answered."""
        function = request.bhs[1] & 0x7f
        aborted = [c for c in self.commands.values()
                   if function != 1 or c.itt == request.bhs[20:24]]
        if self.target.hook("task_request", self, request, aborted):
            return
        for command in aborted:
            self.forget(command)
        self.send(pdu.task_response(request.itt))

    def saw(self, what, value):
        self.most[what] = max(self.most[what], value)

    def forget(self, command):
        command.finished = True
        self.finished.append(command.itt)
        self.commands.pop(command.itt, None)

    ### Commands

    def command(self, request):
        command = Command(request, self.target.disk.execute(request.cdb, request.lun))
        self.commands[request.itt] = command
        self.saw("commands", len(self.commands))
        self.saw("immediate", command.sent)
        if not self.target.hook("command", self, command):
            self.serve(command)

    def data_out(self, request):
        command = self.commands[request.itt]
        self.store(command, int.from_bytes(request.bhs[40:44]), request.data)
        command.sent += len(request.data)
        self.saw("segment", len(request.data))
        self.saw("unsolicited", command.sent)
        if request.bhs[1] & 0x80 and command.waits:
            self.serve(command)

    def store(self, command, at, data):
        if command.transfer.write:
            start = command.transfer.offset + at
            self.link.fabric.memory.view[start:start + len(data)] = data

    def serve(self, command):
        """Moves the data and responds, as a good target does."""
        t, request = command.transfer, command.request
        command.waits = False
        if t.sense:
            return self.respond(command, pdu.scsi_response(
                command.itt, pdu.CHECK_CONDITION, sense(*t.sense), command.length))
        if t.write:
            if request.data and command.sent == len(request.data):
                self.store(command, 0, request.data)
            if not request.bhs[1] & 0x80 and command.sent == len(request.data):
                command.waits = True        # for Data-Out
                return
            rest = min(t.length, command.length) - command.sent
            if rest > 0:
                key, address, _ = command.key
                return self.link.read(t.offset + command.sent, rest, address, key,
                                      lambda status: self.moved(command, status))
            return self.respond(command)
        length = self.move(command)
        self.respond(command, pdu.scsi_response(command.itt, residual=command.length - length))

    def move(self, command):
        """Writes the data of a read command to the initiator; returns its length."""
        t, memory, done = command.transfer, self.link.fabric.memory, None
        offset, length = t.offset, min(t.length, command.length)
        if t.data is not None:
            length = min(len(t.data), command.length)
            offset = memory.allocate(max(len(t.data), 1))
            memory.view[offset:offset + len(t.data)] = t.data

            def done(_):
                memory.give_back(offset, max(len(t.data), 1))
        if length:
            key, address, _ = command.key
            self.link.write(offset, length, address, key, done)
        elif done:
            done(None)
        return length

    def moved(self, command, status):
        if status == v.SUCCESS and not command.finished:
            self.respond(command)

    def respond(self, command, response=None):
        response = response or pdu.scsi_response(command.itt)
        if self.target.hook("respond", self, command, response):
            return
        self.finish(command, response)

    def finish(self, command, response=None):
        """Sends the response and invalidates the command's key with it, if negotiated."""
        self.forget(command)
        invalidate = command.key[0] if command.key and self.invalidates else None
        self.send(response or pdu.scsi_response(command.itt), invalidate=invalidate,
                  done=lambda _: self.target.hook("responded", self, command))


class Target:
    """Listens, and serves whoever comes as the armed attack allows."""

    def __init__(self, names, addresses, port, blocks=32768, offer=None, invalidates=True,
                 private_data=None):
        self.names, self.portals = names, [f"{address}:{port}" for address in addresses]
        self.offer, self.invalidates, self.private_data = offer or {}, invalidates, private_data
        self.disk = Disk(blocks, "hostile-1")
        self.loop = Loop()
        memory = Memory(blocks * BLOCK + (48 << 20))
        memory.used = blocks * BLOCK        # the disk is at offset 0
        self.scratch = memory.allocate(SCRATCH)
        immediate = max(8192, int(self.offer.get("MaxRecvDataSegmentLength", 0)))
        self.fabric = Fabric(self.loop, self.cm_event, memory, immediate)
        self.listeners = [self.fabric.listen(address, port) for address in addresses]
        self.sessions, self.count = {}, 0
        self.notes = collections.deque(maxlen=10000)
        self.attack = None

    def note(self, **what):
        self.notes.append(what)

    def hook(self, point, *arguments):
        """Whether the armed attack takes over at this point."""
        if self.attack is None:
            return False
        return bool(getattr(self.attack, point)(*arguments))

    def live(self, name=None):
        """Sessions in the full-feature phase, oldest first."""
        return [s for s in self.sessions.values()
                if s.full_feature and not s.login.discovery and name in (None, s.name)]

    def seen(self):
        """What the last session has negotiated, asked for or answered, and the most of each
        that has come by it: commands at a time, bytes of immediate and of unsolicited data,
        bytes of a Data-Out PDU."""
        session = (self.live() or [None])[-1]
        return session and {"negotiated": session.login.chosen, "asked": session.login.keys,
                            **session.most}

    def cm_event(self, kind, ident, data, status):
        self.note(event=v.EVENT_NAMES.get(kind, str(kind)), status=status)
        if kind == v.CONNECT_REQUEST:
            if not self.hook("connect_request", ident, data):
                try:
                    self.accept(ident)
                except v.VerbsError as e:
                    self.note(event="gone", what=str(e))
        elif ident in self.sessions:
            session = self.sessions[ident]
            if self.hook("cm_event", session, kind):
                return
            if kind not in (v.ESTABLISHED,):
                self.note(event="gone", session=session.number)
                session.end(at_once=False)

    def accept(self, ident, data=None, **link_options):
        """Accepts a connection; `data` is other private data than ours."""
        self.count += 1
        link = Link(self.fabric, ident, **link_options)
        session = self.sessions[ident] = Session(self, link, self.count)
        if data is None:
            data = self.private_data
        try:
            link.accept(private_data(send_with_invalidate=self.invalidates) if data is None else data)
        except v.VerbsError:        # the peer has not waited
            session.end()
            raise
        return session
