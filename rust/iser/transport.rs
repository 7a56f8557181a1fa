// SPDX-License-Identifier: GPL-2.0

//! What libiscsi and user space ask of the transport.

use kernel::{
    prelude::*,
    sync::{Arc, ArcBorrow}, //
};

use super::{
    command,
    connection::Connection,
    control, log,
    observed::History,
    queue::{self, TASKS},
    reason::Cause,
    wire::FFP_PAYLOAD_LEN,
};
use crate::{
    addr::SockAddr,
    iscsi::{
        self,
        connection::HostMemory,
        error_handler::Step,
        forward::Forward,
        globals::Globals,
        parameter::{ConnectionError, HostParameter, Parameter, ParameterAction},
        session::{NewSession, Session},
        task::Task,
        transport::Transport,
    },
    module_parameters,
    rdma::device::Attributes,
    scsi::host::Limits,
    series::{self, ENOTCONN},
};

/// Bytes of a page of a memory region.
const PAGE: u32 = 4096;
const SECTOR: u32 = 512;
const SECTORS_PER_PAGE: u32 = PAGE / SECTOR;

/// Most sectors of a command, the largest value of the module parameter: 16 MiB.
pub(crate) const MAX_SECTORS: u32 = 32768;

/// Fewest sectors of a command: the block layer has no use for a disk that takes less than a page.
pub(crate) const MIN_SECTORS: u32 = SECTORS_PER_PAGE;

/// Sectors of a command that are asked for.
fn max_sectors() -> u32 {
    series::parameter(module_parameters::max_sectors.value()).max(MIN_SECTORS)
}

/// Pages of a command, and of the region for it.
pub(super) struct MemoryLimits {
    sg_tablesize: u32,
    whole_pages: bool,
    pub(super) region_pages: usize,
}

impl MemoryLimits {
    /// Whether a region takes every command of a host that was made with `host`.
    pub(super) fn suffice_for(&self, host: &HostMemory) -> bool {
        self.sg_tablesize >= host.sg_tablesize && (!self.whole_pages || host.has_boundary)
    }
}

/// What commands and regions a device allows.
pub(super) fn memory_limits(device: &Attributes) -> MemoryLimits {
    // Data that does not begin at a page lies in one page more than its length tells.
    let reserved = u32::from(!device.sg_gaps);
    let wanted = max_sectors().div_ceil(SECTORS_PER_PAGE);
    let possible = (device.max_region_pages as u32)
        .saturating_sub(reserved)
        .max(1);
    let sg_tablesize = wanted.min(possible);
    MemoryLimits {
        sg_tablesize,
        whole_pages: !device.sg_gaps,
        region_pages: (sg_tablesize + reserved) as usize,
    }
}

static GLOBALS: Globals = Globals::new();

/// The transport `iser`.
pub(crate) struct Iser;

impl Transport for Iser {
    const NAME: &'static CStr = c"iser";
    const HOST_NAME: &'static CStr = c"iSCSI Initiator over iSER";
    const PROC_NAME: &'static CStr = c"iscsi_iser";
    const DEFAULT_SG_TABLESIZE: u16 = 128;
    const DEFAULT_CMD_PER_LUN: i16 = 512;
    const HEADER_PREFIX: usize = super::wire::ISER_HEADER_LEN;
    const MAX_RECV_DATA_SEGMENT_LENGTH: u32 = FFP_PAYLOAD_LEN as u32;

    type Endpoint = Connection;

    type SessionData = History;

    fn session_data() -> Result<Arc<History>> {
        History::new()
    }

    fn globals() -> &'static Globals {
        &GLOBALS
    }

    fn connect(address: SockAddr, non_blocking: bool) -> Result<Arc<Connection>> {
        Connection::connect(address, non_blocking)
    }

    fn poll(endpoint: ArcBorrow<'_, Connection>, timeout_ms: i32) -> Result<bool> {
        endpoint.poll(timeout_ms)
    }

    fn disconnect(endpoint: ArcBorrow<'_, Connection>) {
        endpoint.disconnect();
    }

    fn address(endpoint: &Connection) -> &SockAddr {
        endpoint.address()
    }

    fn create_session(
        endpoint: Option<ArcBorrow<'_, Connection>>,
        new: NewSession<'_, Self>,
    ) -> Result<Session> {
        // Fewer than libiscsi needs for itself would fail the login.
        let can_queue = new.commands().clamp(*TASKS.start(), *TASKS.end());
        if can_queue != new.commands() {
            pr_info!(
                "cmds_max {} is out of range, using {}\n",
                new.commands(),
                can_queue
            );
        }
        let queue_depth = new.queue_depth();
        let limits = |sg_tablesize: u32, virt_boundary_mask| Limits {
            can_queue: can_queue.into(),
            cmd_per_lun: queue_depth.into(),
            max_lun: series::parameter(module_parameters::max_lun.value()),
            sg_tablesize,
            max_sectors: max_sectors().min(sg_tablesize * SECTORS_PER_PAGE),
            virt_boundary_mask,
        };
        let Some(endpoint) = endpoint else {
            let limits = limits(Self::DEFAULT_SG_TABLESIZE.into(), PAGE - 1);
            return new.create(&limits, None);
        };
        endpoint.with_domain(|pd| {
            let device = pd.device();
            let attributes = device.attributes();
            let boundary = if attributes.sg_gaps { 0 } else { PAGE - 1 };
            let limits = limits(memory_limits(&attributes).sg_tablesize, boundary);
            new.create(&limits, device.parent())
                .inspect_err(log::cannot(endpoint.address(), "make a session"))
        })
    }

    fn bind(
        endpoint: ArcBorrow<'_, Connection>,
        connection: iscsi::connection::Connection,
        history: Arc<History>,
    ) -> Result {
        queue::bind(&endpoint, connection, history)
    }

    fn named(endpoint: ArcBorrow<'_, Connection>, target: &[u8]) {
        endpoint.observed.set_target(target);
    }

    fn start(
        endpoint: ArcBorrow<'_, Connection>,
        connection: &iscsi::connection::Connection,
    ) -> Result {
        queue::start(&endpoint, connection)
    }

    #[inline(always)]
    fn transmit_command(
        endpoint: ArcBorrow<'_, Connection>,
        task: Task<'_>,
        forward: &mut Forward<'_>,
    ) -> Result {
        endpoint.transmitting(forward, |queue_pair, transmitter| {
            command::send(&endpoint.observed, queue_pair, transmitter, task)
        })
    }

    fn transmit_control(
        endpoint: ArcBorrow<'_, Connection>,
        task: Task<'_>,
        forward: &mut Forward<'_>,
    ) -> Result {
        endpoint.transmitting(forward, |queue_pair, transmitter| {
            control::send(&endpoint, queue_pair, transmitter, task)
        })
    }

    fn not_transmitted(endpoint: ArcBorrow<'_, Connection>, error: Error) {
        // A connection that has failed since it was bound has told that, or is about to; one that
        // is closed was ended by its owner.
        if error != ENOTCONN {
            let text = fmt!("a login or text request could not be sent");
            Arc::from(endpoint).fail(ConnectionError::ConnFailed, Cause::Post, text);
        }
    }

    fn is_finishing(endpoint: ArcBorrow<'_, Connection>, index: usize) -> bool {
        endpoint
            .with_queue_pair(|queue_pair| Ok(queue_pair.is_finishing(index)))
            .unwrap_or(false)
    }

    fn give_up(endpoint: ArcBorrow<'_, Connection>) {
        let text = fmt!("the error handling of the SCSI midlayer gave up");
        endpoint.give_up(Cause::GaveUp, text);
    }

    fn fence(endpoint: ArcBorrow<'_, Connection>, abandoned: impl Fn(usize) -> bool) {
        Arc::from(endpoint).fence(abandoned);
    }

    fn error_handling(endpoint: ArcBorrow<'_, Connection>, step: Step) {
        endpoint.observed.error_handling(step, endpoint.bound());
    }

    fn set_parameter(
        endpoint: Option<ArcBorrow<'_, Connection>>,
        parameter: Parameter,
        value: &[u8],
    ) -> ParameterAction {
        match parameter {
            // The receive buffers have their size.
            Parameter::MaxRecvDataSegmentLength => ParameterAction::Ignore,
            // RFC 7145 section 6: digests are None, markers No.
            Parameter::HeaderDigest
            | Parameter::DataDigest
            | Parameter::IfMarker
            | Parameter::OfMarker => {
                if value.trim_ascii() == b"0" {
                    ParameterAction::Ignore
                } else {
                    if let Some(endpoint) = endpoint {
                        endpoint.is_unsuitable(fmt!(
                            "{parameter:?} must not be used with iSER, see node.conn[0].iscsi"
                        ));
                    }
                    ParameterAction::Refuse
                }
            }
            _ => ParameterAction::Keep,
        }
    }

    fn shows(parameter: Parameter) -> bool {
        !matches!(parameter, Parameter::IfMarker | Parameter::OfMarker)
    }

    fn shows_host(parameter: HostParameter) -> bool {
        !matches!(parameter, HostParameter::IpAddress)
    }
}
