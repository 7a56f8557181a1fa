// SPDX-License-Identifier: GPL-2.0

//! Parameters of hosts, sessions and connections, and the errors of connections.

use crate::bindings;

macro_rules! parameters {
    ($(#[$doc:meta])* $type:ident: $raw:ident, $($(#[$variant_doc:meta])* $variant:ident = $value:ident,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            /// `None` for one that no transport in Rust has needed yet.
            pub(super) fn from_raw(raw: bindings::$raw) -> Option<Self> {
                match raw {
                    $(bindings::$value => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

parameters! {
    /// A parameter of a session or connection.
    Parameter: iscsi_param,
    MaxRecvDataSegmentLength = iscsi_param_ISCSI_PARAM_MAX_RECV_DLENGTH,
    MaxXmitDataSegmentLength = iscsi_param_ISCSI_PARAM_MAX_XMIT_DLENGTH,
    HeaderDigest = iscsi_param_ISCSI_PARAM_HDRDGST_EN,
    DataDigest = iscsi_param_ISCSI_PARAM_DATADGST_EN,
    IfMarker = iscsi_param_ISCSI_PARAM_IFMARKER_EN,
    OfMarker = iscsi_param_ISCSI_PARAM_OFMARKER_EN,
    Address = iscsi_param_ISCSI_PARAM_CONN_ADDRESS,
    Port = iscsi_param_ISCSI_PARAM_CONN_PORT,
    ExpStatSn = iscsi_param_ISCSI_PARAM_EXP_STATSN,
    PersistentAddress = iscsi_param_ISCSI_PARAM_PERSISTENT_ADDRESS,
    PersistentPort = iscsi_param_ISCSI_PARAM_PERSISTENT_PORT,
    PingTimeout = iscsi_param_ISCSI_PARAM_PING_TMO,
    ReceiveTimeout = iscsi_param_ISCSI_PARAM_RECV_TMO,
    InitialR2t = iscsi_param_ISCSI_PARAM_INITIAL_R2T_EN,
    MaxR2t = iscsi_param_ISCSI_PARAM_MAX_R2T,
    ImmediateData = iscsi_param_ISCSI_PARAM_IMM_DATA_EN,
    FirstBurst = iscsi_param_ISCSI_PARAM_FIRST_BURST,
    MaxBurst = iscsi_param_ISCSI_PARAM_MAX_BURST,
    PduInOrder = iscsi_param_ISCSI_PARAM_PDU_INORDER_EN,
    DataSequenceInOrder = iscsi_param_ISCSI_PARAM_DATASEQ_INORDER_EN,
    TargetName = iscsi_param_ISCSI_PARAM_TARGET_NAME,
    Tpgt = iscsi_param_ISCSI_PARAM_TPGT,
    Username = iscsi_param_ISCSI_PARAM_USERNAME,
    Password = iscsi_param_ISCSI_PARAM_PASSWORD,
    UsernameIn = iscsi_param_ISCSI_PARAM_USERNAME_IN,
    PasswordIn = iscsi_param_ISCSI_PARAM_PASSWORD_IN,
    FastAbort = iscsi_param_ISCSI_PARAM_FAST_ABORT,
    AbortTimeout = iscsi_param_ISCSI_PARAM_ABORT_TMO,
    LuResetTimeout = iscsi_param_ISCSI_PARAM_LU_RESET_TMO,
    TargetResetTimeout = iscsi_param_ISCSI_PARAM_TGT_RESET_TMO,
    IfaceName = iscsi_param_ISCSI_PARAM_IFACE_NAME,
    InitiatorName = iscsi_param_ISCSI_PARAM_INITIATOR_NAME,
    DiscoverySession = iscsi_param_ISCSI_PARAM_DISCOVERY_SESS,
}

parameters! {
    /// A parameter of a host.
    HostParameter: iscsi_host_param,
    HardwareAddress = iscsi_host_param_ISCSI_HOST_PARAM_HWADDRESS,
    InitiatorName = iscsi_host_param_ISCSI_HOST_PARAM_INITIATOR_NAME,
    NetdevName = iscsi_host_param_ISCSI_HOST_PARAM_NETDEV_NAME,
    IpAddress = iscsi_host_param_ISCSI_HOST_PARAM_IPADDRESS,
}

/// What to do with a parameter that user space sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ParameterAction {
    /// libiscsi keeps it.
    Keep,
    /// It has no meaning for this transport.
    Ignore,
    /// The transport cannot work with this value.
    Refuse,
}

/// Why a connection failed, an `enum iscsi_err`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum ConnectionError {
    /// `ISCSI_ERR_CONN_FAILED`
    ConnFailed = bindings::iscsi_err_ISCSI_ERR_CONN_FAILED,
    /// `ISCSI_ERR_DATALEN`
    DataLen = bindings::iscsi_err_ISCSI_ERR_DATALEN,
    /// `ISCSI_ERR_BAD_OPCODE`
    BadOpcode = bindings::iscsi_err_ISCSI_ERR_BAD_OPCODE,
    /// `ISCSI_ERR_BAD_ITT`
    BadItt = bindings::iscsi_err_ISCSI_ERR_BAD_ITT,
    /// `ISCSI_ERR_AHSLEN`
    AhsLen = bindings::iscsi_err_ISCSI_ERR_AHSLEN,
    /// `ISCSI_ERR_PROTO`
    Proto = bindings::iscsi_err_ISCSI_ERR_PROTO,
}

impl ConnectionError {
    /// The closest of these errors.
    pub(crate) fn from_raw(raw: u32) -> Self {
        [
            Self::DataLen,
            Self::BadOpcode,
            Self::BadItt,
            Self::AhsLen,
            Self::Proto,
        ]
        .into_iter()
        .find(|error| *error as u32 == raw)
        .unwrap_or(Self::ConnFailed)
    }
}
