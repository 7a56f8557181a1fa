# SPDX-License-Identifier: GPL-2.0
"""libibverbs and librdmacm, as far as a target needs them.

This is ctypes over the two libraries and not pyverbs, because one loop is to serve many
connections: pyverbs does not tell which connection an event of the connection manager
belongs to, keeps the file descriptors of its channels to itself, and blocks in them. The
structures are those of the libraries' stable ABI; posting and polling go through the
table of functions at the start of `struct ibv_context`, as the inline functions of
<infiniband/verbs.h> do.
"""
import ctypes as c
import os

P, U8, U16, U32, U64, INT = c.c_void_p, c.c_uint8, c.c_uint16, c.c_uint32, c.c_uint64, c.c_int

ibv = c.CDLL("libibverbs.so.1", use_errno=True)
cma = c.CDLL("librdmacm.so.1", use_errno=True)


def _function(lib, name, result, *arguments):
    f = getattr(lib, name)
    f.restype, f.argtypes = result, arguments
    return f


class Sge(c.Structure):
    _fields_ = [("addr", U64), ("length", U32), ("lkey", U32)]


class SendWr(c.Structure):
    # `rest`: unions that reliable connected queue pairs have no use for.
    _fields_ = [("wr_id", U64), ("next", P), ("sg_list", P), ("num_sge", INT),
                ("opcode", INT), ("send_flags", U32), ("invalidate_rkey", U32),
                ("remote_addr", U64), ("rkey", U32), ("pad", U32), ("rest", U64 * 9)]


class RecvWr(c.Structure):
    _fields_ = [("wr_id", U64), ("next", P), ("sg_list", P), ("num_sge", INT)]


class Wc(c.Structure):
    _fields_ = [("wr_id", U64), ("status", INT), ("opcode", INT), ("vendor_err", U32),
                ("byte_len", U32), ("imm", U32), ("qp_num", U32), ("src_qp", U32),
                ("flags", U32), ("pkey_index", U16), ("slid", U16), ("sl", U8), ("path", U8)]


class QpInitAttr(c.Structure):
    _fields_ = [("qp_context", P), ("send_cq", P), ("recv_cq", P), ("srq", P),
                ("max_send_wr", U32), ("max_recv_wr", U32), ("max_send_sge", U32),
                ("max_recv_sge", U32), ("max_inline_data", U32), ("qp_type", INT),
                ("sq_sig_all", INT)]


class ConnParam(c.Structure):
    _fields_ = [("private_data", P), ("private_data_len", U8), ("responder_resources", U8),
                ("initiator_depth", U8), ("flow_control", U8), ("retry_count", U8),
                ("rnr_retry_count", U8), ("srq", U8), ("qp_num", U32)]


class CmEvent(c.Structure):
    _fields_ = [("id", P), ("listen_id", P), ("event", INT), ("status", INT),
                ("conn", ConnParam), ("room", U64 * 8)]


class CmId(c.Structure):        # the part of it that we use
    _fields_ = [("verbs", P), ("channel", P), ("context", P), ("qp", P)]


class Mr(c.Structure):
    _fields_ = [("context", P), ("pd", P), ("addr", P), ("length", c.c_size_t),
                ("handle", U32), ("lkey", U32), ("rkey", U32)]


class CompChannel(c.Structure):
    _fields_ = [("context", P), ("fd", INT)]


class SockaddrIn(c.Structure):
    _fields_ = [("family", U16), ("port", U16), ("addr", U8 * 4), ("zero", U8 * 8)]


class Ops(c.Structure):
    """struct ibv_context: the device, then the table."""
    _fields_ = [("device", P), ("entry", P * 32)]


assert c.sizeof(SendWr) == 128 and c.sizeof(Wc) == 48 and c.sizeof(ConnParam) == 24

POLL_CQ = c.CFUNCTYPE(INT, P, INT, c.POINTER(Wc))
REQ_NOTIFY = c.CFUNCTYPE(INT, P, INT)
POST_SEND = c.CFUNCTYPE(INT, P, c.POINTER(SendWr), c.POINTER(P))
POST_RECV = c.CFUNCTYPE(INT, P, c.POINTER(RecvWr), c.POINTER(P))
ENTRY = {POLL_CQ: 11, REQ_NOTIFY: 12, POST_SEND: 25, POST_RECV: 26}

alloc_pd = _function(ibv, "ibv_alloc_pd", P, P)
reg_mr = _function(ibv, "ibv_reg_mr", c.POINTER(Mr), P, P, c.c_size_t, INT)
create_channel = _function(ibv, "ibv_create_comp_channel", c.POINTER(CompChannel), P)
destroy_channel = _function(ibv, "ibv_destroy_comp_channel", INT, c.POINTER(CompChannel))
create_cq = _function(ibv, "ibv_create_cq", P, P, INT, P, c.POINTER(CompChannel), INT)
destroy_cq = _function(ibv, "ibv_destroy_cq", INT, P)
get_cq_event = _function(ibv, "ibv_get_cq_event", INT, c.POINTER(CompChannel), c.POINTER(P),
                         c.POINTER(P))
ack_cq_events = _function(ibv, "ibv_ack_cq_events", None, P, c.c_uint)
wc_status_str = _function(ibv, "ibv_wc_status_str", c.c_char_p, INT)

create_event_channel = _function(cma, "rdma_create_event_channel", c.POINTER(INT))
create_id = _function(cma, "rdma_create_id", INT, P, c.POINTER(c.POINTER(CmId)), P, INT)
destroy_id = _function(cma, "rdma_destroy_id", INT, P)
bind_addr = _function(cma, "rdma_bind_addr", INT, P, c.POINTER(SockaddrIn))
listen = _function(cma, "rdma_listen", INT, P, INT)
get_cm_event = _function(cma, "rdma_get_cm_event", INT, P, c.POINTER(c.POINTER(CmEvent)))
ack_cm_event = _function(cma, "rdma_ack_cm_event", INT, c.POINTER(CmEvent))
create_qp = _function(cma, "rdma_create_qp", INT, P, P, c.POINTER(QpInitAttr))
destroy_qp = _function(cma, "rdma_destroy_qp", None, P)
accept = _function(cma, "rdma_accept", INT, P, c.POINTER(ConnParam))
reject = _function(cma, "rdma_reject", INT, P, c.c_char_p, U8)
reject_ece = _function(cma, "rdma_reject_ece", INT, P)
disconnect = _function(cma, "rdma_disconnect", INT, P)

# enum ibv_wr_opcode, ibv_send_flags, ibv_access_flags, ibv_qp_type, rdma_port_space
WR_RDMA_WRITE, WR_SEND, WR_RDMA_READ, WR_SEND_WITH_INV = 0, 2, 4, 9
SEND_SIGNALED = 2
ACCESS_LOCAL_WRITE = 1
QPT_RC = 2
PS_TCP = 0x0106

# enum ibv_wc_status
SUCCESS, FLUSHED, REMOTE_INVALID, REMOTE_ACCESS = 0, 5, 9, 10

# enum rdma_cm_event_type
CONNECT_REQUEST, ESTABLISHED, DISCONNECTED = 4, 9, 10
EVENT_NAMES = dict(enumerate(
    "addr_resolved addr_error route_resolved route_error connect_request connect_response "
    "connect_error unreachable rejected established disconnected device_removal "
    "multicast_join multicast_error addr_change timewait_exit".split()))


class VerbsError(OSError):
    pass


def _error(what):
    code = c.get_errno()
    return VerbsError(code, f"{what}: {os.strerror(code)}")


def check(status, what):
    if status != 0:
        raise _error(what)


def made(pointer, what):
    if not pointer:
        raise _error(what)
    return pointer


def operations(context):
    """The functions that work requests are posted and completions polled with."""
    table = c.cast(context, c.POINTER(Ops)).contents.entry
    return {kind: kind(table[at]) for kind, at in ENTRY.items()}


def status_name(status):
    return wc_status_str(status).decode()
