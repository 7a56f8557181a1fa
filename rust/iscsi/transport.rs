// SPDX-License-Identifier: GPL-2.0

//! What a driver implements.

use kernel::{
    prelude::*,
    sync::{Arc, ArcBorrow}, //
};

use super::{
    connection::Connection,
    error_handler::Step,
    forward::Forward,
    globals::Globals,
    parameter::{HostParameter, Parameter, ParameterAction},
    session::{NewSession, Session},
    task::Task,
};
use crate::addr::SockAddr;

/// An iSCSI transport.
///
/// User space makes an endpoint, polls it until it is connected, makes a session and a connection
/// for it, binds them, logs in by PDUs that it makes itself, and starts the connection. When a
/// connection has failed it is stopped, and a new endpoint is bound to it.
pub(crate) trait Transport: Sized + 'static {
    /// Name by which user space selects the transport.
    const NAME: &'static CStr;
    /// Description of its hosts.
    const HOST_NAME: &'static CStr;
    /// Name of its hosts in sysfs.
    const PROC_NAME: &'static CStr;
    /// Scatter-gather entries of a command, where there is no endpoint to ask.
    const DEFAULT_SG_TABLESIZE: u16;
    /// Commands for each logical unit, where the session does not say.
    const DEFAULT_CMD_PER_LUN: i16;
    /// Bytes that the transport puts before the header of each PDU.
    const HEADER_PREFIX: usize;
    /// Bytes of data that a PDU from the target may have in full feature phase.
    const MAX_RECV_DATA_SEGMENT_LENGTH: u32;

    /// A connection to a portal.
    type Endpoint: Send + Sync + 'static;

    /// What is kept of a session over all its connections.
    type SessionData: Send + Sync + 'static;

    /// The data of a new session. May sleep.
    fn session_data() -> Result<Arc<Self::SessionData>>;

    /// Where the registration of this transport is found: a `static`.
    fn globals() -> &'static Globals;

    /// Starts to connect; unless `non_blocking`, waits for the outcome. May sleep.
    fn connect(address: SockAddr, non_blocking: bool) -> Result<Arc<Self::Endpoint>>;

    /// Waits until the connection is made, `timeout_ms` at most. Returns whether it is.
    fn poll(endpoint: ArcBorrow<'_, Self::Endpoint>, timeout_ms: i32) -> Result<bool>;

    /// Ends the connection. All tasks are given back on return. May sleep.
    fn disconnect(endpoint: ArcBorrow<'_, Self::Endpoint>);

    /// The portal.
    fn address(endpoint: &Self::Endpoint) -> &SockAddr;

    /// Makes a session for the endpoint, or for one that is not known yet. May sleep.
    fn create_session(
        endpoint: Option<ArcBorrow<'_, Self::Endpoint>>,
        new: NewSession<'_, Self>,
    ) -> Result<Session>;

    /// Makes ready to transmit tasks of `connection` over the endpoint. May sleep.
    fn bind(
        endpoint: ArcBorrow<'_, Self::Endpoint>,
        connection: Connection,
        session: Arc<Self::SessionData>,
    ) -> Result;

    /// The session is for the target of this name. May sleep.
    fn named(endpoint: ArcBorrow<'_, Self::Endpoint>, target: &[u8]);

    /// The login is done and all parameters are known. May sleep.
    fn start(endpoint: ArcBorrow<'_, Self::Endpoint>, connection: &Connection) -> Result;

    /// Transmits a SCSI command. Called under the session's forward lock, so it must not sleep, and
    /// not call [`Connection::fail`].
    ///
    /// # Errors
    ///
    /// It is tried again later.
    fn transmit_command(
        endpoint: ArcBorrow<'_, Self::Endpoint>,
        task: Task<'_>,
        forward: &mut Forward<'_>,
    ) -> Result;

    /// Transmits any other task. Called as [`Self::transmit_command`] is.
    ///
    /// # Errors
    ///
    /// It is given up.
    fn transmit_control(
        endpoint: ArcBorrow<'_, Self::Endpoint>,
        task: Task<'_>,
        forward: &mut Forward<'_>,
    ) -> Result;

    /// A login or text request whose transmission had been put off could not be transmitted. The
    /// end of the connection is all that can tell. Called under the session's forward lock.
    fn not_transmitted(endpoint: ArcBorrow<'_, Self::Endpoint>, error: Error);

    /// Whether the response of task `index` has come, and the task is about to be given back.
    fn is_finishing(endpoint: ArcBorrow<'_, Self::Endpoint>, index: usize) -> bool;

    /// Fails and ends the connection: its tasks are about to be taken from it. May sleep.
    fn give_up(endpoint: ArcBorrow<'_, Self::Endpoint>);

    /// Ends the target's access to the data of all tasks that `abandoned` names by index, and
    /// gives them back. Called by error handlers; may sleep.
    fn fence(endpoint: ArcBorrow<'_, Self::Endpoint>, abandoned: impl Fn(usize) -> bool);

    /// An error handler has got to `step`. May sleep.
    fn error_handling(endpoint: ArcBorrow<'_, Self::Endpoint>, step: Step);

    /// What to do with a parameter of a connection that user space sets to `value`. May sleep.
    fn set_parameter(
        endpoint: Option<ArcBorrow<'_, Self::Endpoint>>,
        parameter: Parameter,
        value: &[u8],
    ) -> ParameterAction;

    /// Whether user space can see a parameter.
    fn shows(parameter: Parameter) -> bool;

    /// Whether user space can see a host's parameter.
    fn shows_host(parameter: HostParameter) -> bool;
}
