// SPDX-License-Identifier: GPL-2.0

//! Takes a [`Snapshot`]: sysfs for sessions and disks, the module's debugfs for connections.

use std::{fs, io::ErrorKind, path::Path, time::Instant};

use crate::{
    model::{Connection, Debugfs, Disk, DiskIo, Driver, Session, Snapshot},
    parse,
    tree::{number_at_end, Tree},
};

/// The module's folder in debugfs.
pub const DEBUGFS: &str = "kernel/debug/ib_iser_rs";

/// Block devices count in sectors of this size, whatever theirs is.
const SECTOR: u64 = 512;

pub fn snapshot(tree: &Tree) -> Snapshot {
    let driver = driver(tree);
    let mut connections = Vec::new();
    let debugfs = match tree.try_list(DEBUGFS) {
        Ok(names) => {
            connections = names
                .iter()
                .filter_map(|name| connection(tree, name))
                .collect();
            Debugfs::Readable
        }
        Err(error) => why_no_debugfs(tree, error.kind()),
    };
    let mut sessions: Vec<Session> = tree
        .list("class/iscsi_session")
        .iter()
        .filter_map(|name| session(tree, name))
        .collect();
    let mut others = Vec::new();
    for c in connections {
        match sessions.iter_mut().find(|s| Some(s.id) == c.session()) {
            Some(session) => session.connections.push(c),
            None => others.push(c),
        }
    }
    for session in &mut sessions {
        session
            .connections
            .sort_by_key(|c| std::cmp::Reverse((usefulness(c), c.id)));
    }
    Snapshot {
        taken: Instant::now(),
        driver,
        debugfs,
        latency: tree
            .text(Path::new(DEBUGFS).join("latency"))
            .and_then(|text| switch(&text)),
        totals: text_of(tree, DEBUGFS, "totals")
            .map_or_else(Default::default, |t| parse::counters(&t)),
        sessions,
        others,
    }
}

fn driver(tree: &Tree) -> Driver {
    match () {
        () if tree.has("module/ib_iser_rs") => Driver::Ours,
        () if tree.has("module/ib_iser") => Driver::C,
        () => Driver::None,
    }
}

fn why_no_debugfs(tree: &Tree, error: ErrorKind) -> Debugfs {
    let debugfs = "kernel/debug";
    match tree.try_list(debugfs) {
        Ok(names) if names.is_empty() => Debugfs::NotMounted,
        Ok(_) if error == ErrorKind::PermissionDenied => Debugfs::Denied,
        Ok(_) => Debugfs::Nothing,
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Debugfs::Denied,
        Err(_) => Debugfs::NoKernelSupport,
    }
}

/// `0` or `1`, or as the kernel writes a bool.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "Y" | "on" => Some(true),
        "0" | "N" | "off" => Some(false),
        _ => None,
    }
}

fn text_of(tree: &Tree, folder: &str, file: &str) -> Option<String> {
    tree.text(Path::new(folder).join(file))
}

fn connection(tree: &Tree, name: &str) -> Option<Connection> {
    let id = name.strip_prefix("connection-")?.parse().ok()?;
    let folder = format!("{DEBUGFS}/{name}");
    let read = |file| text_of(tree, &folder, file).unwrap_or_default();
    // Without it, the connection has ended since its name was read.
    let info = parse::fields(&text_of(tree, &folder, "info")?);
    let (reads, writes) = parse::latency(&read("latency"));
    Some(Connection {
        id,
        info,
        counters: parse::counters(&read("counters")),
        slots: parse::slots(&read("slots")),
        reads,
        writes,
    })
}

/// Which of a session's connections is the one to show.
fn usefulness(c: &Connection) -> u32 {
    match c.state() {
        Some("up") => 3,
        Some("connecting") => 2,
        Some("failed") => 1,
        _ => 0,
    }
}

fn session(tree: &Tree, name: &str) -> Option<Session> {
    let id = name.strip_prefix("session")?.parse().ok()?;
    let folder = format!("class/iscsi_session/{name}");
    let device = format!("{folder}/device");
    let host = host_of(tree, &device);
    let transport = tree.text(format!("class/scsi_host/host{}/proc_name", host?))?;
    if transport != "iscsi_iser" {
        return None;
    }
    let read = |file| text_of(tree, &folder, file).filter(|t| !t.is_empty() && t != "(null)");
    Some(Session {
        id,
        host,
        target: read("targetname"),
        portal: portal(tree, id),
        kernel_state: read("state"),
        disks: disks(tree, &device),
        connections: Vec::new(),
        history: text_of(tree, &format!("{DEBUGFS}/session-{id}"), "info")
            .map_or_else(Default::default, |t| parse::fields(&t)),
    })
}

/// The number of the host under which a session's device is.
fn host_of(tree: &Tree, device: &str) -> Option<u32> {
    let path = fs::canonicalize(tree.path(device)).ok()?;
    let names = path.iter().filter_map(|part| part.to_str());
    names
        .filter(|n| n.starts_with("host"))
        .filter_map(number_at_end)
        .next_back()
}

/// The portal that was logged in to, as `address:port`.
fn portal(tree: &Tree, session: u32) -> Option<String> {
    let folder = format!("class/iscsi_connection/connection{session}:0");
    let read = |names: [&str; 2]| {
        let values = names.iter().filter_map(|name| text_of(tree, &folder, name));
        values
            .filter(|t| !t.is_empty() && t != "(null)")
            .collect::<Vec<_>>()
            .into_iter()
            .next()
    };
    let address = read(["persistent_address", "address"])?;
    let port = read(["persistent_port", "port"])?;
    Some(if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    })
}

fn disks(tree: &Tree, device: &str) -> Vec<Disk> {
    let mut disks = Vec::new();
    for target in tree.list(device).iter().filter(|n| n.starts_with("target")) {
        let folder = format!("{device}/{target}");
        // Its devices are named host:channel:target:lun.
        for name in tree
            .list(&folder)
            .iter()
            .filter(|n| n.matches(':').count() == 3)
        {
            let folder = format!("{folder}/{name}");
            let block = tree.list(format!("{folder}/block")).into_iter().next();
            let io = block
                .as_ref()
                .and_then(|b| disk_io(&tree.text(format!("{folder}/block/{b}/stat"))?));
            disks.push(Disk {
                lun: name.rsplit(':').next().and_then(|lun| lun.parse().ok()),
                name: block,
                state: text_of(tree, &folder, "state"),
                io,
            });
        }
    }
    disks.sort_by_key(|d| d.lun);
    disks
}

/// A block device's `stat`, see Documentation/block/stat.rst of the kernel.
fn disk_io(text: &str) -> Option<DiskIo> {
    let n: Vec<u64> = text
        .split_whitespace()
        .map_while(|w| w.parse().ok())
        .collect();
    let &[reads, _, read_sectors, _, writes, _, write_sectors, _, in_flight, ..] = n.as_slice()
    else {
        return None;
    };
    Some(DiskIo {
        reads,
        read_bytes: read_sectors.saturating_mul(SECTOR),
        writes,
        write_bytes: write_sectors.saturating_mul(SECTOR),
        in_flight,
    })
}
