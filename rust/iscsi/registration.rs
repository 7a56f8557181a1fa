// SPDX-License-Identifier: GPL-2.0

//! Registering a transport.

use core::marker::PhantomData;
use kernel::{ffi::c_int, prelude::*};

use super::{
    connection_ops::ConnectionOps,
    deferred,
    endpoint::EndpointOps,
    error_handler::ErrorHandler,
    parameter::{HostParameter, Parameter},
    session::SessionOps,
    task::TaskOps,
    transport::Transport,
};
use crate::bindings;

/// Keeps a transport registered; dropping it unregisters.
///
/// # Invariants
///
/// `transport` is registered. The boxed structures stay where they are as long as `self`.
pub(crate) struct Registration<T: Transport> {
    transport: KBox<bindings::iscsi_transport>,
    _host_template: KBox<bindings::scsi_host_template>,
    _phantom: PhantomData<T>,
}

// SAFETY: What is registered may be unregistered by any thread.
unsafe impl<T: Transport> Send for Registration<T> {}
// SAFETY: There is nothing to do with a shared registration.
unsafe impl<T: Transport> Sync for Registration<T> {}

impl<T: Transport> Registration<T> {
    /// Registers `T`. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` if a transport of that name is registered already.
    pub(crate) fn new(module: &'static ThisModule) -> Result<Self> {
        if Self::name_is_taken() {
            return Err(EEXIST);
        }
        let host_template = KBox::new(Self::host_template(module), GFP_KERNEL)?;
        let mut transport = KBox::new(Self::transport(module), GFP_KERNEL)?;
        if !T::globals().set(&mut *transport, &*host_template) {
            return Err(EEXIST);
        }
        // SAFETY: Both structures stay valid until the transport is unregistered.
        let template = unsafe { bindings::iscsi_register_transport(&mut *transport) };
        if template.is_null() {
            T::globals().clear();
            return Err(ENOMEM);
        }
        T::globals().set_scsi_template(template);
        // INVARIANT: Registered, in boxes.
        Ok(Self {
            transport,
            _host_template: host_template,
            _phantom: PhantomData,
        })
    }

    /// The class has no way to ask, and complains with a backtrace when the name is taken.
    fn name_is_taken() -> bool {
        // SAFETY: The name is a valid string.
        unsafe { bindings::iser_rs_transport_exists(T::NAME.as_char_ptr()) }
    }

    fn host_template(module: &'static ThisModule) -> bindings::scsi_host_template {
        // SAFETY: All zeroes is a template without callbacks.
        let mut template: bindings::scsi_host_template = unsafe { core::mem::zeroed() };
        template.module = module.as_ptr();
        template.name = T::HOST_NAME.as_char_ptr();
        template.proc_name = T::PROC_NAME.as_char_ptr();
        template.queuecommand = Some(bindings::iscsi_queuecommand);
        template.change_queue_depth = Some(bindings::scsi_change_queue_depth);
        template.sg_tablesize = T::DEFAULT_SG_TABLESIZE;
        template.cmd_per_lun = T::DEFAULT_CMD_PER_LUN;
        template.eh_timed_out = Some(bindings::iscsi_eh_cmd_timed_out);
        template.eh_abort_handler = Some(ErrorHandler::<T>::abort);
        template.eh_device_reset_handler = Some(ErrorHandler::<T>::device_reset);
        template.eh_target_reset_handler = Some(ErrorHandler::<T>::target_reset);
        template.target_alloc = Some(bindings::iscsi_target_alloc);
        template.this_id = -1;
        template.set_track_queue_depth(1);
        template.cmd_size = core::mem::size_of::<bindings::iscsi_cmd>() as u32;
        template
    }

    fn transport(module: &'static ThisModule) -> bindings::iscsi_transport {
        // SAFETY: All zeroes is a transport without callbacks.
        let mut transport: bindings::iscsi_transport = unsafe { core::mem::zeroed() };
        transport.owner = module.as_ptr();
        transport.name = T::NAME.as_char_ptr().cast_mut();
        transport.caps =
            bindings::CAP_RECOVERY_L0 | bindings::CAP_MULTI_R2T | bindings::CAP_TEXT_NEGO;
        transport.create_session = Some(SessionOps::<T>::create);
        transport.destroy_session = Some(SessionOps::<T>::destroy);
        transport.create_conn = Some(ConnectionOps::<T>::create);
        transport.bind_conn = Some(ConnectionOps::<T>::bind);
        transport.unbind_conn = Some(bindings::iscsi_conn_unbind);
        transport.start_conn = Some(ConnectionOps::<T>::start);
        transport.stop_conn = Some(ConnectionOps::<T>::stop);
        transport.destroy_conn = Some(ConnectionOps::<T>::destroy);
        transport.set_param = Some(ConnectionOps::<T>::set_parameter);
        transport.get_stats = Some(ConnectionOps::<T>::statistics);
        transport.get_ep_param = Some(EndpointOps::<T>::get_parameter);
        transport.get_conn_param = Some(bindings::iscsi_conn_get_param);
        transport.get_session_param = Some(bindings::iscsi_session_get_param);
        transport.get_host_param = Some(bindings::iscsi_host_get_param);
        transport.set_host_param = Some(bindings::iscsi_host_set_param);
        transport.attr_is_visible = Some(Self::is_visible);
        transport.send_pdu = Some(bindings::iscsi_conn_send_pdu);
        transport.init_task = Some(TaskOps::<T>::init);
        transport.xmit_task = Some(TaskOps::<T>::transmit);
        transport.cleanup_task = Some(TaskOps::<T>::cleanup);
        transport.alloc_pdu = Some(TaskOps::<T>::alloc_pdu);
        transport.session_recovery_timedout = Some(bindings::iscsi_session_recovery_timedout);
        transport.ep_connect = Some(EndpointOps::<T>::connect);
        transport.ep_poll = Some(EndpointOps::<T>::poll);
        transport.ep_disconnect = Some(EndpointOps::<T>::disconnect);
        transport
    }

    /// Mode of an attribute in sysfs.
    ///
    /// # Safety
    ///
    /// Called by the transport class.
    unsafe extern "C" fn is_visible(kind: c_int, parameter: c_int) -> bindings::umode_t {
        let parameter = parameter as u32;
        let shown = match kind as u32 {
            bindings::iscsi_param_type_ISCSI_PARAM => {
                Parameter::from_raw(parameter).is_some_and(T::shows)
            }
            bindings::iscsi_param_type_ISCSI_HOST_PARAM => {
                HostParameter::from_raw(parameter).is_some_and(T::shows_host)
            }
            _ => false,
        };
        if shown {
            0o444
        } else {
            0
        }
    }
}

impl<T: Transport> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Sessions hold the module, so there are none.
        unsafe { bindings::iscsi_unregister_transport(&mut *self.transport) };
        // SAFETY: Just unregistered.
        unsafe { EndpointOps::<T>::end_all() };
        T::globals().clear();
        deferred::wait_for_tails();
    }
}
