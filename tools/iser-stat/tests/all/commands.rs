// SPDX-License-Identifier: GPL-2.0

//! The tool as it is called: what it prints, and its exit status.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

use crate::fixture::Fixture;
use serde_json::{json, Value};

const LATENCY: &str = "kernel/debug/ib_iser_rs/latency";
const STATE_2: &str = "devices/platform/host3/session2/iscsi_session/session2/state";
const SLOTS: &str = "kernel/debug/ib_iser_rs/connection-2/slots";
const COUNTERS: &str = "kernel/debug/ib_iser_rs/connection-2/counters";

fn json_of(f: &Fixture, arguments: &[&str]) -> (i32, Value) {
    let (status, out, _) = f.said(arguments);
    (status, serde_json::from_str(&out).unwrap())
}

#[test]
fn the_list_shows_sessions_and_what_is_wrong() {
    let f = Fixture::of("two-sessions");
    let (status, out, err) = f.said(&["-i", "0"]);
    let lines: Vec<&str> = out.lines().collect();
    let words = |i: usize| lines[i].split_whitespace().collect::<Vec<_>>();
    assert!(lines[0].starts_with("SESSION  STATE"), "{out}");
    assert_eq!(words(1)[..4], ["1", "up", "rxe_eth0/1", "sda,sdb"]);
    assert_eq!(
        words(1)[8..],
        ["2", "10.0.0.1:3260", "iqn.2003-01.org.example:fast"]
    );
    assert_eq!(words(2)[..4], ["2", "recovering", "rxe_eth0/1", "sdc"]);
    assert_eq!(
        words(2)[9..],
        ["[fd00::2]:3260", "iqn.2003-01.org.example:flapping"]
    );
    assert_eq!(
        lines[3],
        "connection 7 to [fd00::2]:3260: connecting, of no session"
    );
    assert_eq!(
        lines[4],
        "warning: session 2 (iqn.2003-01.org.example:flapping): recovering, its I/O waits; \
         last error: the target has ended the connection, 12 s ago"
    );
    assert_eq!(
        lines[5],
        "warning: 1 command in flight for 30 s or longer, the oldest for 45 s"
    );
    assert_eq!((status, lines.len(), err.as_str()), (1, 6, ""));
}

#[test]
fn exit_status_tells_how_bad_it_is() {
    let f = Fixture::of("two-sessions");
    let status = |arguments: &[&str]| f.said(&[&["-i", "0"], arguments].concat()).0;
    assert_eq!(status(&[]), 1);
    f.put(STATE_2, "FREE\n");
    assert_eq!(status(&[]), 2);
    f.put(STATE_2, "LOGGED_IN\n");
    f.put(
        "kernel/debug/ib_iser_rs/connection-3/info",
        "session: 2\nstate: up\n",
    );
    assert_eq!((status(&[]), status(&["--older-than", "60"])), (1, 0));
    f.put(
        "devices/platform/host3/session2/target3:0:0/3:0:0:0/state",
        "transport-offline\n",
    );
    assert_eq!(status(&["--older-than", "60"]), 2);
    assert_eq!(status(&["--no-such-option"]), 3);
    assert_eq!(status(&["--help"]), 0);
}

#[test]
fn what_is_missing_is_said_in_a_line() {
    let f = Fixture::empty();
    assert_eq!(
        f.said(&[]),
        (
            3,
            "unknown: no iSER driver is loaded\n".into(),
            "iser-stat: ib_iser_rs is not loaded: modprobe ib_iser_rs\n".into()
        )
    );
    f.put("module/ib_iser_rs/initstate", "live\n");
    let (status, out, err) = f.said(&[]);
    assert_eq!((status, out.as_str()), (0, ""));
    assert!(
        err.contains("no debugfs") && err.contains("there is no iSER session"),
        "{err}"
    );
    fs::create_dir_all(f.root().join("kernel/debug")).unwrap();
    assert!(f.said(&[]).2.contains("debugfs is not mounted"));
    f.put("kernel/debug/other/file", "");
    assert!(f
        .said(&[])
        .2
        .contains("/sys/kernel/debug/ib_iser_rs is not there"));
    f.put("kernel/debug/ib_iser_rs/latency", "0\n");
    assert_eq!(f.said(&[]).2.lines().count(), 1);
}

#[test]
fn what_is_missing_is_said_as_json_too() {
    let f = Fixture::empty();
    let note = json!(["ib_iser_rs is not loaded: modprobe ib_iser_rs"]);
    let (status, all) = json_of(&f, &["--json"]);
    assert_eq!(
        (status, &all["driver"], &all["notes"]),
        (3, &json!(null), &note)
    );
    let (status, out) = json_of(&f, &["hung", "--json"]);
    assert_eq!(
        (status, &out["schema"], &out["commands"], &out["notes"]),
        (3, &json!(1), &json!(null), &note)
    );
    let (status, out) = json_of(&Fixture::of("c-driver"), &["hung", "--json"]);
    assert_eq!((status, &out["commands"]), (3, &json!(null)));
    let (status, out) = json_of(&Fixture::of("two-sessions"), &["hung", "--json"]);
    assert_eq!((status, &out["notes"]), (1, &json!([])));
}

#[test]
fn the_drivers_own_sessions_are_shown_from_sysfs() {
    let f = Fixture::of("c-driver");
    let (status, out, err) = f.said(&["-i", "0.1"]);
    let words: Vec<&str> = out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        words,
        [
            "1",
            "up",
            "-",
            "sda",
            "0",
            "0",
            "B",
            "0",
            "0",
            "B",
            "2",
            "10.0.0.1:3260",
            "iqn.2003-01.org.example:t"
        ]
    );
    assert!(err.contains("the kernel's own ib_iser is loaded"), "{err}");
    assert_eq!(status, 0);
    let (status, out, err) = f.said(&["hung"]);
    assert_eq!((status, out.as_str()), (3, ""));
    assert!(
        err.contains("cannot be seen") && err.lines().count() == 1,
        "{err}"
    );
    assert_eq!(f.said(&["latency", "on"]).0, 3);
}

#[test]
fn json_has_everything_and_keeps_what_is_new() {
    let f = Fixture::of("two-sessions");
    let (status, all) = json_of(&f, &["--json", "-i", "0"]);
    assert_eq!(
        (status, &all["status"], &all["schema"]),
        (1, &json!("warning"), &json!(1))
    );
    assert_eq!(
        (&all["driver"], &all["latency_enabled"]),
        (&json!("ib_iser_rs"), &json!(true))
    );
    assert_eq!(all["totals"]["reconnects"], 1);
    assert_eq!(all["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(all["other_connections"][0]["info"]["state"], "connecting");
    let s = &all["sessions"][0];
    assert_eq!(
        s["disks"],
        json!([
            {"name": "sda", "lun": 0, "state": "running"},
            {"name": "sdb", "lun": 1, "state": "running"}
        ])
    );
    assert_eq!(
        (&s["state"], &s["kernel_state"], &s["rates"]),
        (&json!("up"), &json!("LOGGED_IN"), &json!(null))
    );
    let c = &s["connections"][0];
    assert_eq!(c["counters"]["flowers"], 42);
    assert_eq!(c["info"]["colour"], "blue");
    assert_eq!(
        (&c["info"]["qp"], &c["info"]["remote_invalidation"]),
        (&json!(17), &json!(true))
    );
    assert_eq!(c["info"]["last_error"], json!(null));
    assert_eq!(
        c["in_flight"][1],
        json!({
            "slot": 9, "itt": "0x30000009", "state": "armed", "direction": "write", "bytes": 8192, "age_ms": 45000
        })
    );
    assert_eq!(c["read_latency"]["count"], 1000);
    assert_eq!(
        c["write_latency"]["buckets_ns"],
        json!([[196608, 204800, 500]])
    );
    assert_eq!(
        all["sessions"][1]["last_error"],
        "the target has ended the connection"
    );
    assert_eq!(all["sessions"][1]["last_error_age_seconds"], 12.0);
}

#[test]
fn rates_are_of_two_samples() {
    let f = Fixture::of("two-sessions");
    let later = f
        .get(COUNTERS)
        .replace("commands_read 1000", "commands_read 1600");
    let (_, all) = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            f.put(COUNTERS, &later);
        });
        json_of(&f, &["--json", "-i", "3"])
    });
    let rates = &all["sessions"][0]["rates"];
    assert_eq!(
        (&rates["source"], &rates["grown"]["commands_read"]),
        (&json!("connection"), &json!(600))
    );
    let (reads, seconds) = (
        rates["reads"].as_f64().unwrap(),
        rates["seconds"].as_f64().unwrap(),
    );
    assert!(
        (reads * seconds - 600.0).abs() < 1e-6 && seconds >= 3.0,
        "{rates}"
    );
    assert_eq!(rates["read_latency"], json!(null));
}

#[test]
fn hung_commands_are_listed_the_oldest_first() {
    let f = Fixture::of("two-sessions");
    let (status, out, _) = f.said(&["hung"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        [
            "45",
            "s",
            "1",
            "9",
            "0x30000009",
            "write",
            "8192",
            "armed",
            "iqn.2003-01.org.example:fast"
        ]
    );
    assert_eq!(status, 1);
    let (status, out) = json_of(&f, &["hung", "--older-than", "0", "--json"]);
    assert_eq!((status, out["commands"].as_array().unwrap().len()), (1, 2));
    assert_eq!(
        (&out["commands"][0]["slot"], &out["commands"][0]["session"]),
        (&json!(9), &json!(1))
    );
    assert_eq!(f.said(&["hung", "--older-than", "46"]).0, 0);
    f.put(SLOTS, "");
    assert_eq!(
        f.said(&["hung"]),
        (
            0,
            "no command is in flight for 30 s or longer\n".into(),
            "".into()
        )
    );
}

#[test]
fn latencies_are_listed_while_they_are_measured() {
    let f = Fixture::of("two-sessions");
    let histogram = "kernel/debug/ib_iser_rs/connection-2/latency";
    let later = f
        .get(histogram)
        .replace("read 98304 102400 900", "read 98304 102400 1900");
    let (_, out, _) = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            f.put(histogram, &later);
        });
        f.said(&["-i", "3"])
    });
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].contains("READ p99") && lines[0].contains("WRITE p99"),
        "{out}"
    );
    assert!(lines[1].contains(" 102µs "), "{out}");
    f.put(LATENCY, "0\n");
    assert!(!f.said(&["-i", "0.1"]).1.contains("p99"));
}

#[test]
fn a_session_without_a_connection_has_its_last_error() {
    let f = Fixture::of("two-sessions");
    let gone = f.root().join("kernel/debug/ib_iser_rs/connection-3");
    fs::remove_dir_all(gone).unwrap();
    f.put(
        "kernel/debug/ib_iser_rs/session-2/info",
        "last_error: the link was cut\nlast_error_age: 40\nfailures: 2\nreconnects: 7\n",
    );
    let (status, out, _) = f.said(&["-i", "0"]);
    assert!(
        out.contains("recovering, its I/O waits; last error: the link was cut, 40 s ago"),
        "{out}"
    );
    assert_eq!(status, 1);
    let metrics = f.said(&["--textfile"]).1;
    let reconnects = metrics
        .lines()
        .find(|l| l.starts_with("iser_rs_session_reconnects_total") && l.contains("session=\"2\""));
    assert!(reconnects.is_some_and(|l| l.ends_with(" 7")), "{metrics}");
    let (_, all) = json_of(&f, &["--json", "-i", "0"]);
    let s = &all["sessions"][1];
    assert_eq!((&s["failures"], &s["reconnects"]), (&json!(2), &json!(7)));
}

#[test]
fn a_session_that_is_up_again_says_why_it_was_not() {
    let f = Fixture::of("two-sessions");
    let lost = |age: u32| {
        let info =
            format!("session: 2\nstate: up\nlast_error: the link was cut\nlast_error_age: {age}\n");
        f.put("kernel/debug/ib_iser_rs/connection-3/info", &info);
        f.said(&["-i", "0", "--older-than", "60"])
    };
    f.put(STATE_2, "LOGGED_IN\n");
    let line = "session 2 (iqn.2003-01.org.example:flapping): up again; last error: the link was cut, 40 s ago\n";
    let (status, out, _) = lost(40);
    assert!(status == 0 && out.ends_with(line), "{status}: {out}");
    assert!(!lost(100_000).1.contains("up again"));
}

#[test]
fn latency_is_switched() {
    let f = Fixture::of("two-sessions");
    assert_eq!(f.said(&["latency"]).1, "on\n");
    assert_eq!(f.said(&["latency", "off"]).0, 0);
    assert!(f.get(LATENCY).starts_with('0'));
    f.put(LATENCY, "0\n");
    assert_eq!(f.said(&["latency"]).1, "off\n");
    assert_eq!(f.said(&["latency", "on"]).0, 0);
    assert!(f.get(LATENCY).starts_with('1'));
}

#[test]
fn a_textfile_is_replaced_as_a_whole() {
    let f = Fixture::of("two-sessions");
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("iser.prom");
    fs::write(&file, "old").unwrap();
    let before = fs::File::open(&file).unwrap();
    let name = file.to_str().unwrap();
    assert_eq!(f.said(&["--textfile", name]), (0, "".into(), "".into()));
    // Whoever had the old one open still sees that, whole.
    assert_eq!(std::io::read_to_string(before).unwrap(), "old");
    let (status, printed, _) = f.said(&["--textfile"]);
    let stable = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|l| !l.starts_with("iser_rs_last_error_timestamp"))
            .map(String::from)
            .collect()
    };
    assert_eq!(
        stable(&fs::read_to_string(&file).unwrap()),
        stable(&printed)
    );
    assert_eq!(status, 0);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o644
    );
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    let (status, _, err) = f.said(&["--textfile", "/nowhere/at/all.prom"]);
    assert_eq!(status, 3);
    assert!(
        err.starts_with("iser-stat: cannot write /nowhere/at/all.prom: "),
        "{err}"
    );
}

#[test]
fn watch_needs_a_terminal() {
    let (status, out, err) = Fixture::empty().said(&["--watch"]);
    assert_eq!((status, out.as_str()), (3, ""));
    assert!(err.contains("needs a terminal"), "{err}");
}

#[test]
fn malformed_input_is_no_reason_to_fail() {
    let f = Fixture::of("malformed");
    for arguments in [
        &["-i", "0.1"][..],
        &["--json", "-i", "0.1"],
        &["hung"],
        &["--textfile"],
    ] {
        let (status, out, err) = f.said(arguments);
        assert!(
            status < 3 && !out.contains("panicked") && !err.contains("panicked"),
            "{arguments:?}: {out}{err}"
        );
    }
    let (_, all) = json_of(&f, &["--json", "-i", "0"]);
    let sessions = all["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(
        sessions[0]["connections"][0]["counters"],
        json!({"wr_send": 5})
    );
    assert_eq!(sessions[0]["connections"][0]["info"]["port"], "eth0");
    assert_eq!(all["latency_enabled"], json!(null));
}
