// SPDX-License-Identifier: GPL-2.0

//! An iSER initiator: the iSCSI transport `iser`, which carries SCSI data by RDMA (RFC 7145).
//!
//! The driver is in [`iser`]. It stands on abstractions that know nothing of it and could live in
//! the `kernel` crate: [`iscsi`], [`scsi`] and [`rdma`], with [`addr`], [`cells`], [`sg`] and
//! [`work`] between them.

use kernel::prelude::*;

mod addr;
mod bindings;
mod cells;
mod iscsi;
mod iser;
mod rdma;
mod scsi;
mod sg;
mod work;

module! {
    type: IserModule,
    name: "ib_iser_rs",
    authors: ["The ib_iser_rs developers"],
    description: "iSER (iSCSI Extensions for RDMA) initiator",
    license: "GPL",
    params: {
        max_lun: u32 {
            default: 512,
            description: "Max LUNs to allow per session, at least 1 (default:512)",
        },
        max_sectors: u32 {
            default: 1024,
            description: "Max number of sectors in a single SCSI command, 1 to 32768 (default:1024)",
        },
    },
}

struct IserModule {
    _registration: iscsi::registration::Registration<iser::Iser>,
    // After the registration: without that there are no connections that could use it.
    _work_queue: work::WorkQueue,
}

impl kernel::Module for IserModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        check_range("max_lun", module_parameters::max_lun.value(), u32::MAX)?;
        check_range(
            "max_sectors",
            module_parameters::max_sectors.value(),
            iser::MAX_SECTORS,
        )?;
        let work_queue = work::WorkQueue::new()?;
        let registration = iscsi::registration::Registration::new(module).inspect_err(|error| {
            if *error == EEXIST {
                pr_err!("a transport named iser is registered already; unload ib_iser first\n");
            } else {
                pr_err!("cannot register the transport iser: {:?}\n", error);
            }
        })?;
        Ok(Self {
            _registration: registration,
            _work_queue: work_queue,
        })
    }
}

fn check_range(name: &str, value: u32, max: u32) -> Result {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    pr_err!("parameter {name}={value} is out of range, it must be 1 to {max}\n");
    Err(EINVAL)
}
