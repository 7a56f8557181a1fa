# SPDX-License-Identifier: GPL-2.0
"""Connections: the connection manager's events, queue pairs, and what is posted to them.

One loop serves everything. A `Fabric` listens and hands events to its handler, a `Link`
is one connection. Every work request is signalled and has a callback of its own, which is
called with the status of its completion: that is what attacks are judged by.
"""
import ctypes as c
import heapq
import itertools
import mmap
import os
import selectors
import socket
import time

from . import verbs as v

RECEIVES = 64
SPARE_SIZE = 4096           # of a receive, beyond the immediate data: headers, and some
SENDS = 1024


class Memory:
    """All memory that the target sends from and receives into, one region, one key.

    No peer may access any of it.
    """

    def __init__(self, size):
        self.map = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self.map)
        self.address = c.addressof(c.c_char.from_buffer(self.map))
        self.size, self.used, self.free = size, 0, {}

    def allocate(self, size):
        """An offset. What is given back is used for requests of the same size."""
        size = (size + 4095) // 4096 * 4096
        if self.free.get(size):
            return self.free[size].pop()
        self.used += size
        if self.used > self.size:
            raise MemoryError("the target's memory is used up")
        return self.used - size

    def give_back(self, offset, size):
        self.free.setdefault((size + 4095) // 4096 * 4096, []).append(offset)


class Loop:
    """Files, timers and nothing else."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.timers, self.count, self.running = [], itertools.count(), True

    def watch(self, fd, callback):
        self.selector.register(fd, selectors.EVENT_READ, callback)

    def unwatch(self, fd):
        self.selector.unregister(fd)

    def after(self, seconds, callback):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.count), callback))

    def run(self):
        while self.running:
            wait = max(0, self.timers[0][0] - time.monotonic()) if self.timers else None
            for key, _ in self.selector.select(wait):
                if key.fd in self.selector.get_map():     # not unwatched by the one before
                    key.data()
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2]()


class Fabric:
    """Listens on an address. `handler(kind, id, private_data, status)` gets the events of
    the connection manager, `id` being an address that names the connection."""

    def __init__(self, loop, handler, memory, immediate=8192):
        self.loop, self.handler, self.memory = loop, handler, memory
        self.receive_size = immediate + SPARE_SIZE
        self.pd = self.mr = None
        self.channel = v.made(v.create_event_channel(), "event channel")
        fd = self.channel.contents.value
        os.set_blocking(fd, False)
        loop.watch(fd, self.events)

    def listen(self, address, port):
        listener = c.POINTER(v.CmId)()
        v.check(v.create_id(self.channel, c.byref(listener), None, v.PS_TCP), "id")
        name = v.SockaddrIn(socket.AF_INET, socket.htons(port),
                            (c.c_uint8 * 4)(*socket.inet_aton(address)))
        v.check(v.bind_addr(listener, c.byref(name)), f"bind to {address}:{port}")
        v.check(v.listen(listener, 64), "listen")
        return listener

    def events(self):
        while True:
            event = c.POINTER(v.CmEvent)()
            if v.get_cm_event(self.channel, c.byref(event)):
                return
            e = event.contents
            # The event is given back first: an id with events cannot be destroyed.
            data = c.string_at(e.conn.private_data, e.conn.private_data_len) \
                if e.event == v.CONNECT_REQUEST and e.conn.private_data else b""
            kind, ident, status = e.event, e.id, e.status
            v.ack_cm_event(event)
            self.handler(kind, ident, data, status)

    def prepare(self, ident):
        """The domain and the key, which all connections of the one device share."""
        context = c.cast(ident, c.POINTER(v.CmId)).contents.verbs
        if self.pd is None:
            self.context = context
            self.pd = v.made(v.alloc_pd(context), "protection domain")
            mr = v.reg_mr(self.pd, self.memory.address, self.memory.size, v.ACCESS_LOCAL_WRITE)
            self.lkey = v.made(mr, "memory region").contents.lkey
            self.ops = v.operations(context)
        assert context == self.context, "one RDMA device only"


def private_data(zero_based_va=False, send_with_invalidate=True):
    """What iSER says of itself in a connection request or its answer."""
    return bytes([(0 if zero_based_va else 0x80) | (0 if send_with_invalidate else 0x40), 0, 0, 0])


class Link:
    """One connection's queue pair. `received(raw)` and `lost(what)` are set by its user."""

    def __init__(self, fabric, ident, receives=RECEIVES):
        fabric.prepare(ident)
        self.fabric, self.ident = fabric, ident
        self.received = self.lost = lambda *_: None
        self.callbacks, self.next_id = {}, itertools.count(1)
        self.open, self.leaving = True, False
        # Whether receives are posted again, how many there are, and those that are not.
        self.hears, self.ready, self.silent = True, 0, []
        self.channel = v.made(v.create_channel(fabric.context), "completion channel")
        os.set_blocking(self.channel.contents.fd, False)
        self.cq = v.made(v.create_cq(fabric.context, SENDS + RECEIVES, None, self.channel, 0), "cq")
        attr = v.QpInitAttr(send_cq=self.cq, recv_cq=self.cq, max_send_wr=SENDS,
                            max_recv_wr=RECEIVES, max_send_sge=1, max_recv_sge=1,
                            qp_type=v.QPT_RC, sq_sig_all=1)
        try:
            v.check(v.create_qp(ident, fabric.pd, c.byref(attr)), "queue pair")
        except v.VerbsError:        # the peer has not waited
            v.destroy_cq(self.cq)
            v.destroy_channel(self.channel)
            v.destroy_id(ident)
            raise
        self.qp = c.cast(ident, c.POINTER(v.CmId)).contents.qp
        self.post_send, self.post_recv = fabric.ops[v.POST_SEND], fabric.ops[v.POST_RECV]
        self.poll_cq, self.notify = fabric.ops[v.POLL_CQ], fabric.ops[v.REQ_NOTIFY]
        self.wcs, self.bad = (v.Wc * 32)(), v.P()
        self.buffers = [fabric.memory.allocate(fabric.receive_size) for _ in range(receives)]
        for offset in self.buffers:
            self.receive_into(offset)
        self.notify(self.cq, 0)
        fabric.loop.watch(self.channel.contents.fd, self.completions)

    def accept(self, data):
        """`data`: private data, at most 196 bytes; None for a NULL pointer."""
        # rnr_retry_count 7: without limit.
        param = v.ConnParam(c.cast(c.c_char_p(data), v.P), len(data or b""), 16, 16, 0, 7, 7, 0, 0)
        v.check(v.accept(self.ident, c.byref(param)), "accept")

    def sge(self, offset, length):
        return v.Sge(self.fabric.memory.address + offset, length, self.fabric.lkey)

    def receive_into(self, offset):
        sge = self.sge(offset, self.fabric.receive_size)
        wr = v.RecvWr(offset, None, c.addressof(sge), 1)
        v.check(self.post_recv(self.qp, c.byref(wr), c.byref(self.bad)), "post a receive")
        self.ready += 1

    def deafen(self):
        """No receive is posted any more: once there are none, whatever the peer sends has its
        device try again, without limit, and nothing behind it in its send queue is done."""
        self.hears = False

    def hear(self):
        """All of them are."""
        self.hears = True
        for offset in self.silent:
            self.receive_into(offset)
        self.silent.clear()

    def post(self, opcode, offset, length, done=None, address=0, rkey=0, invalidate=0):
        if not self.open:
            return
        # Receives are known by their offset, which is even: see `allocate`.
        number = next(self.next_id) * 2 + 1
        self.callbacks[number] = done
        sge = self.sge(offset, length)
        wr = v.SendWr(number, None, c.addressof(sge), min(length, 1), opcode, v.SEND_SIGNALED, invalidate,
                      address, rkey)
        if self.post_send(self.qp, c.byref(wr), c.byref(self.bad)):
            self.callbacks.pop(number)
            self.fail("post a send")

    def send(self, raw, done=None, invalidate=None):
        """Sends `raw` as it is."""
        memory, size = self.fabric.memory, len(raw)
        offset = memory.allocate(max(size, 1))
        memory.view[offset:offset + size] = raw

        def finished(status):
            memory.give_back(offset, max(size, 1))
            if done:
                done(status)
        self.post(v.WR_SEND if invalidate is None else v.WR_SEND_WITH_INV, offset, size, finished,
                  invalidate=invalidate or 0)

    def write(self, offset, length, address, rkey, done=None):
        """RDMA Write from our memory to the peer's."""
        self.post(v.WR_RDMA_WRITE, offset, length, done, address, rkey)

    def read(self, offset, length, address, rkey, done=None):
        """RDMA Read from the peer's memory to ours."""
        self.post(v.WR_RDMA_READ, offset, length, done, address, rkey)

    def completions(self):
        cq, context = v.P(), v.P()
        if v.get_cq_event(self.channel, c.byref(cq), c.byref(context)) == 0:
            v.ack_cq_events(self.cq, 1)
        self.notify(self.cq, 0)
        while self.open and (count := self.poll_cq(self.cq, len(self.wcs), self.wcs)) > 0:
            for wr_id, status, length in [(w.wr_id, w.status, w.byte_len)
                                          for w in self.wcs[:count]]:
                if wr_id & 1:
                    done = self.callbacks.pop(wr_id, None)
                    if done:
                        done(status)
                    if status not in (v.SUCCESS, v.FLUSHED):
                        self.fail(v.status_name(status))
                elif status == v.SUCCESS:
                    raw = bytes(self.fabric.memory.view[wr_id:wr_id + length])
                    self.ready -= 1
                    if not self.hears:
                        self.silent.append(wr_id)
                    elif self.open:
                        self.receive_into(wr_id)
                    if not self.leaving:
                        self.received(raw)
        if self.leaving and not self.callbacks:
            self.close()

    def leave(self, limit=2):
        """Closes, but not before the device has said how all that was posted ended: that
        must not be lost only because the peer was quicker to disconnect."""
        self.leaving = True
        if self.callbacks:
            self.fabric.loop.after(limit, self.close)
        else:
            self.close()

    def fail(self, what):
        self.lost(what)

    def disconnect(self):
        v.disconnect(self.ident)

    def close(self):
        """Frees everything. The peer learns that the connection has ended."""
        if not self.open:
            return
        self.open = False
        self.fabric.loop.unwatch(self.channel.contents.fd)
        v.disconnect(self.ident)
        v.destroy_qp(self.ident)
        v.destroy_cq(self.cq)
        v.destroy_channel(self.channel)
        v.destroy_id(self.ident)
        for offset in self.buffers:
            self.fabric.memory.give_back(offset, self.fabric.receive_size)
        # What was under way is neither lost nor done, it just was not heard of.
        for done in list(self.callbacks.values()):
            if done:
                done(v.FLUSHED)
        self.callbacks.clear()
