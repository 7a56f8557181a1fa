// SPDX-License-Identifier: GPL-2.0

//! An iSER initiator: the iSCSI transport `iser`, which carries SCSI data by RDMA (RFC 7145).
//!
//! The driver is in [`iser`]. It stands on abstractions that know nothing of it and could live in
//! the `kernel` crate: [`iscsi`], [`scsi`] and [`rdma`], with [`addr`], [`cells`], [`published`],
//! [`series`], [`sg`] and [`work`] between them. [`count`], [`debugfs`], [`latency`] and [`trace`]
//! are for those who look at it from outside.

// rustdoc asks how types behave in a panic, through all of the kernel's types behind pointers.
#![recursion_limit = "512"]

use kernel::{prelude::*, sync::Arc};

mod addr;
mod bindings;
mod cells;
mod clock;
mod count;
mod debugfs;
mod iscsi;
mod iser;
mod latency;
mod published;
mod rdma;
mod scsi;
mod series;
mod sg;
mod text;
mod trace;
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
        log_limit: u32 {
            default: 10,
            description: "Failures of one kind logged for a portal in ten minutes, 0 for all (default:10)",
        },
    },
}

struct IserModule {
    _registration: iscsi::registration::Registration<iser::Iser>,
    // After the registration: connections have their directories in it.
    _directory: debugfs::Directory<iser::Totals>,
    // After the registration: without that there are no connections that could use it.
    _work_queue: work::WorkQueue,
}

impl kernel::Module for IserModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let max_lun = series::parameter(module_parameters::max_lun.value());
        check_range("max_lun", max_lun, u32::MAX)?;
        let max_sectors = series::parameter(module_parameters::max_sectors.value());
        check_range("max_sectors", max_sectors, iser::MAX_SECTORS)?;
        if max_sectors < iser::MIN_SECTORS {
            let used = iser::MIN_SECTORS;
            pr_info!("max_sectors={max_sectors} is less than disks can have, using {used}\n");
        }
        let parts = || {
            let totals = Arc::new(iser::Totals, GFP_KERNEL)?;
            let directory = debugfs::Directory::new(None, debugfs::ROOT, totals)?;
            Ok((work::WorkQueue::new()?, directory))
        };
        let (work_queue, directory) =
            parts().inspect_err(|error: &Error| pr_err!("cannot be loaded: {error:?}\n"))?;
        let registration = iscsi::registration::Registration::new(module).inspect_err(|error| {
            if *error == EEXIST {
                pr_err!("a transport named iser is registered already; unload ib_iser first\n");
            } else {
                pr_err!("cannot register the transport iser: {:?}\n", error);
            }
        })?;
        Ok(Self {
            _registration: registration,
            _directory: directory,
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
