// SPDX-License-Identifier: GPL-2.0

//! Sessions that come and go while they are read.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use crate::fixture::Fixture;
use iser_stat::{collect::snapshot, health, json, prometheus, text, tree::Tree};

#[test]
fn what_goes_while_it_is_read_is_left_out() {
    let f = Fixture::of("two-sessions");
    let ended = AtomicBool::new(false);
    let folder = f.root().join("kernel/debug/ib_iser_rs/connection-2");
    let session = f.root().join("class/iscsi_session/session1");
    let target = fs::read_link(&session).unwrap();
    let (mut with, mut without) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Relaxed) {
                fs::remove_dir_all(&folder).unwrap();
                fs::remove_file(&session).unwrap();
                thread::yield_now();
                f.put(
                    "kernel/debug/ib_iser_rs/connection-2/info",
                    "session: 1\nstate: up\n",
                );
                f.put(
                    "kernel/debug/ib_iser_rs/connection-2/counters",
                    "commands_read 1\n",
                );
                std::os::unix::fs::symlink(&target, &session).unwrap();
                thread::yield_now();
            }
        });
        // Until both were seen, and some more.
        while with < 100 || without < 100 {
            let now = snapshot(&Tree::new(f.root()));
            let problems = health::problems(&now, 30.0);
            text::sessions(&now, &Default::default(), &problems);
            json::report(&now, &Default::default(), &problems);
            prometheus::metrics(&now);
            if now.sessions.iter().any(|s| s.id == 1) {
                with += 1;
            } else {
                without += 1;
            }
            assert!(now.sessions.iter().any(|s| s.id == 2));
        }
        ended.store(true, Relaxed);
    });
}
