# SPDX-License-Identifier: GPL-2.0
"""The kernel's iSCSI transport without iscsid: connects, logs in and loses connections as
fast as the kernel can.

It speaks the netlink protocol of <scsi/iscsi_if.h>, as iscsid does; the two must not run
at the same time. A session is made once; it gets a new connection whenever the last one
is lost, so its disk stays.
"""
import os
import select
import socket
import struct

from . import pdu

PROTOCOL, GROUP = 8, 1          # NETLINK_ISCSI, ISCSI_NL_GRP_ISCSID

# enum iscsi_uevent_e
DESTROY_SESSION, CREATE_CONN, DESTROY_CONN, BIND_CONN, SET_PARAM, START_CONN, STOP_CONN, \
    SEND_PDU = range(12, 20)
EP_CONNECT, EP_POLL, EP_DISCONNECT, CREATE_BOUND_SESSION = 22, 23, 24, 28
RECV_PDU, CONN_ERROR, IF_ERROR = 101, 102, 103

STOP_TERM, STOP_RECOVER = 1, 3
EVENT, PARAMETERS, RESULT = 56, 16, 40      # struct iscsi_uevent, its union u, its union r
CID = 0

# enum iscsi_param, as the login that follows has it
SETTINGS = {0: 128, 1: 8192, 2: 0, 3: 0, 4: 1, 5: 1, 6: 1, 7: 65536, 8: 262144, 9: 1, 10: 1,
            11: 0, 19: 120, 26: 1, 27: 5, 28: 5, 30: 0, 31: 0}
EXP_STATSN, TARGET_NAME, INITIATOR_NAME = 14, 15, 34

INITIATOR = "iqn.1993-08.org.debian:01:fuzz"
KEYS = [("InitiatorName", INITIATOR), ("SessionType", "Normal"), ("HeaderDigest", "None"),
        ("DataDigest", "None"), ("RDMAExtensions", "Yes"), ("InitialR2T", "Yes"),
        ("ImmediateData", "Yes"), ("FirstBurstLength", "65536"), ("MaxBurstLength", "262144"),
        ("ErrorRecoveryLevel", "0"), ("DefaultTime2Wait", "0"), ("DefaultTime2Retain", "0"),
        ("MaxOutstandingR2T", "1"), ("TargetRecvDataSegmentLength", "8192"),
        ("InitiatorRecvDataSegmentLength", "8192")]
# T, from operational negotiation to full feature phase; ISID.
LOGIN = bytes([0x40 | pdu.LOGIN_REQUEST, 0x87]).ljust(8, b"\0") + b"\x80\0\0\0\0\1".ljust(pdu.BHS - 8, b"\0")
# Closes the session.
LOGOUT = bytes([0x40 | pdu.LOGOUT_REQUEST, 0x80]).ljust(pdu.BHS, b"\0")


class Refused(Exception):
    """The kernel does not do what it is asked; number is the errno, if it said one."""

    def __init__(self, what, number=None):
        super().__init__(f"{what}: {os.strerror(number)}" if number else what)
        self.number = number


class Kernel:
    """The socket, and the session that is made by it."""

    def __init__(self, address, port, target):
        self.address, self.port, self.target = address, port, target
        self.handle = int(open("/sys/class/iscsi_transport/iser/handle").read())
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, PROTOCOL)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)        # SO_RCVBUFFORCE
        self.socket.bind((0, GROUP))
        self.portid = self.socket.getsockname()[0]
        self.events, self.sid, self.endpoint, self.host = [], None, None, None
        self.cmds_max, self.queue_depth = 128, 32

    ### Messages

    def ask(self, kind, parameters=b"", more=b""):
        """A request; the union of results of its answer."""
        body = struct.pack("<IIQ", kind, 0, self.handle) + parameters.ljust(RESULT - PARAMETERS, b"\0")
        body = body.ljust(EVENT, b"\0") + more
        message = struct.pack("<IHHII", 16 + len(body), kind, 0, 0, self.portid) + body
        self.socket.send(message.ljust((len(message) + 3) // 4 * 4, b"\0"))
        while True:
            answer, unicast = self.receive()
            got, error = struct.unpack_from("<Ii", answer)
            if unicast and got == IF_ERROR:
                raise Refused(f"request {kind}", -error)
            if unicast and got == kind:
                return answer[RESULT:]
            self.keep(got, answer)

    def do(self, kind, parameters=b"", more=b""):
        """A request that is answered with a status."""
        status = struct.unpack_from("<i", self.ask(kind, parameters, more))[0]
        if status < 0:
            raise Refused(f"request {kind}", -status)
        return status

    def receive(self):
        while True:
            try:
                data, _, _, sender = self.socket.recvmsg(1 << 16)
            except OSError as e:
                if e.errno != 105:      # ENOBUFS: what was lost was not an answer
                    raise
                continue
            return data[16:], sender[1] == 0

    def keep(self, kind, answer):
        if kind == RECV_PDU:
            self.events.append((kind, answer[EVENT:]))
        elif kind == CONN_ERROR:
            self.events.append((kind, struct.unpack_from("<I", answer, RESULT + 8)[0]))

    def poll(self, seconds):
        """Takes what has come."""
        while select.select([self.socket], [], [], seconds)[0]:
            answer, _ = self.receive()
            self.keep(struct.unpack_from("<I", answer)[0], answer)
            seconds = 0

    ### A connection

    def open(self, blocking=False):
        """Begins to connect; if blocking, does it."""
        address = struct.pack("<H", socket.AF_INET) + struct.pack(">H", self.port) + \
            socket.inet_aton(self.address) + bytes(8)
        result = self.ask(EP_CONNECT, struct.pack("<I", not blocking), address)
        self.endpoint = struct.unpack_from("<Q", result)[0]

    def outcome(self, limit):
        """1 if connected, 0 if that took longer than limit milliseconds."""
        return self.do(EP_POLL, struct.pack("<QI", self.endpoint, limit))

    def close(self):
        """Ends the endpoint, connected or not."""
        self.ask(EP_DISCONNECT, struct.pack("<Q", self.endpoint))
        self.endpoint = None

    def create(self):
        result = self.ask(CREATE_BOUND_SESSION, struct.pack("<QIHH", self.endpoint, 1, self.cmds_max,
                                                             self.queue_depth))
        self.sid, self.host = struct.unpack_from("<II", result)
        self.ask(CREATE_CONN, struct.pack("<II", self.sid, CID))

    def set(self, parameter, value):
        value = str(value).encode() + b"\0"
        self.do(SET_PARAM, struct.pack("<IIII", self.sid, CID, parameter, len(value)), value)

    def send(self, bhs, data=b""):
        bhs = bhs[:5] + len(data).to_bytes(3) + bhs[8:]
        self.do(SEND_PDU, struct.pack("<IIII", self.sid, CID, pdu.BHS, len(data)), bhs + data)

    def response(self, opcode, seconds=2):
        """Waits for it; its header."""
        while True:
            for at, (kind, what) in enumerate(self.events):
                if kind == CONN_ERROR:
                    self.events.clear()
                    raise Refused(f"connection error {what}")
                if what[0] & 0x3f == opcode:
                    del self.events[at]
                    return what[:pdu.BHS]
            if not select.select([self.socket], [], [], seconds)[0]:
                raise Refused("no answer")
            self.poll(0)

    def log_in(self, patience=2):
        """All of it: what is negotiated is known. Connects unless that is done; waits
        that many seconds for the answer."""
        for _ in self.steps(patience):
            pass

    def steps(self, patience=2):
        """Logs in, and stops after each step to say which it was."""
        self.events.clear()
        if self.endpoint is None:
            self.open()
            yield "connecting"
            if self.outcome(20000) != 1:
                raise Refused("no connection in time")
            yield "connected"
        if self.sid is None:
            self.create()
            yield "created"
        self.do(BIND_CONN, struct.pack("<IIQI", self.sid, CID, self.endpoint, 1))
        yield "bound"
        for parameter, value in SETTINGS.items():
            self.set(parameter, value)
        self.set(TARGET_NAME, self.target)
        self.set(INITIATOR_NAME, INITIATOR)
        self.send(LOGIN, pdu.encode([*KEYS[:1], ("TargetName", self.target), *KEYS[1:]]))
        yield "asked"
        answer = self.response(pdu.LOGIN_RESPONSE, patience)
        if answer[36] or not answer[1] & 0x80:
            raise Refused(f"login: status {answer[36:38].hex()}")
        self.set(EXP_STATSN, struct.unpack_from(">I", answer, 24)[0] + 1)
        yield "answered"
        self.do(START_CONN, struct.pack("<II", self.sid, CID))
        yield "started"

    def log_out(self, patience=2):
        """Tells the target, waits for its answer, and ends the session."""
        self.send(LOGOUT)
        self.response(pdu.LOGOUT_RESPONSE, patience)
        self.destroy()

    def lost(self):
        """Whether the connection is; waits a little for the news."""
        self.poll(0.05)
        found = any(kind == CONN_ERROR for kind, _ in self.events)
        self.events.clear()
        return found

    def drop(self, flag=STOP_RECOVER):
        """Ends the connection, however far it is."""
        if self.sid is not None:
            self.do(STOP_CONN, struct.pack("<IIQI", self.sid, CID, 0, flag))
        if self.endpoint is not None:
            try:
                self.close()
            except Refused:
                self.endpoint = None        # went with the connection

    def scan(self):
        """Makes the kernel look for disks. Blocks as long as the target likes."""
        with open(f"/sys/class/scsi_host/host{self.host}/scan", "w") as f:
            f.write("- - -")

    def destroy(self):
        if self.sid is not None:
            self.drop(STOP_TERM)
            self.ask(DESTROY_CONN, struct.pack("<II", self.sid, CID))
            self.ask(DESTROY_SESSION, struct.pack("<I", self.sid))
            self.sid = None

    def clear(self):
        """Takes away whatever there is, of a session that got stuck anywhere."""
        steps = []
        if self.sid is not None:
            stop = struct.pack("<IIQI", self.sid, CID, 0, STOP_TERM)
            steps += [lambda: self.do(STOP_CONN, stop)]
        if self.endpoint is not None:
            steps += [self.close]
        if self.sid is not None:
            steps += [lambda: self.ask(DESTROY_CONN, struct.pack("<II", self.sid, CID)),
                      lambda: self.ask(DESTROY_SESSION, struct.pack("<I", self.sid))]
        for step in steps:
            try:
                step()
            except Refused:
                pass        # is gone already
        self.sid = self.endpoint = None
