// SPDX-License-Identifier: GPL-2.0

//! The output for Prometheus: that it is in its format, and says what the kernel said.

use std::collections::{BTreeMap, BTreeSet};

use crate::fixture::Fixture;
use iser_stat::{
    collect::snapshot,
    model::{Connection, Debugfs, Driver, Snapshot},
    prometheus::metrics,
    tree::Tree,
};
use proptest::prelude::*;

/// Samples by metric with labels. Fails on whatever a collector would refuse.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    let mut helped = BTreeSet::new();
    let mut current = String::new();
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => {
                assert!(!help.is_empty());
                assert!(helped.insert(name.to_string()), "twice: {line}");
                current = name.to_string();
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(*name, current);
                assert!(["counter", "gauge", "histogram"].contains(kind), "{line}");
                assert_eq!(*kind == "counter", name.ends_with("_total"), "{line}");
                types.insert(name.to_string(), kind.to_string());
            }
            _ => {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                check_labels(labels.strip_suffix('}').unwrap());
                let family = match types[&current].as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"]
                        .iter()
                        .find_map(|s| name.strip_suffix(s))
                        .unwrap(),
                    _ => name,
                };
                assert_eq!(family, current, "not under its own head: {line}");
                let value = value.parse().unwrap();
                assert!(
                    samples.insert(series.to_string(), value).is_none(),
                    "twice: {line}"
                );
            }
        }
    }
    samples
}

/// `a="b",c="d"` with \\, \" and \n as the only escapes.
fn check_labels(labels: &str) {
    let mut rest = labels;
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{labels}"
        );
        assert!(names.insert(name.to_string()), "twice: {name} in {labels}");
        let mut end = None;
        let mut chars = after.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => assert!(
                    matches!(chars.next(), Some((_, '\\' | '"' | 'n'))),
                    "{labels}"
                ),
                '"' => {
                    end = Some(i);
                    break;
                }
                _ => assert!(!c.is_control(), "{labels}"),
            }
        }
        rest = &after[end.unwrap() + 1..];
        if let Some(next) = rest.strip_prefix(',') {
            rest = next;
        } else {
            assert!(rest.is_empty(), "{labels}");
        }
    }
}

const FIRST: &str =
    "target=\"iqn.2003-01.org.example:fast\",portal=\"10.0.0.1:3260\",session=\"1\"";
const SECOND: &str =
    "target=\"iqn.2003-01.org.example:flapping\",portal=\"[fd00::2]:3260\",session=\"2\"";

#[test]
fn figures_are_the_kernels() {
    let f = Fixture::of("two-sessions");
    let all = parsed(&metrics(&snapshot(&Tree::new(f.root()))));
    let value = |name: &str, labels: &str| all[&format!("{name}{{{labels}}}")];
    let connection =
        |name: &str, more: &str| value(name, &format!("{FIRST},connection=\"2\"{more}"));
    assert_eq!(
        (
            all["iser_rs_loaded"],
            all["iser_rs_counters_readable"],
            all["iser_rs_latency_enabled"]
        ),
        (1., 1., 1.)
    );
    assert_eq!(
        (
            all["iser_rs_reconnects_total"],
            all["iser_rs_connects_failed_total"]
        ),
        (1., 4.)
    );
    assert_eq!(
        value(
            "iser_rs_connection_failures_total",
            "kind=\"other\",reason=\"connecting\""
        ),
        4.0
    );
    assert_eq!(
        (
            value("iser_rs_session_up", FIRST),
            value("iser_rs_session_up", SECOND)
        ),
        (1.0, 0.0)
    );
    assert_eq!(
        value(
            "iser_rs_session_state",
            &format!("{SECOND},state=\"recovering\"")
        ),
        1.0
    );
    assert_eq!(value("iser_rs_session_reconnects_total", SECOND), 1.0);
    assert_eq!(
        value(
            "iser_rs_disk_info",
            &format!("{FIRST},device=\"sdb\",lun=\"1\"")
        ),
        1.0
    );
    assert_eq!(
        connection("iser_rs_commands_total", ",direction=\"read\""),
        1000.0
    );
    assert_eq!(
        connection("iser_rs_bytes_total", ",direction=\"write\""),
        2048000.0
    );
    assert_eq!(
        connection("iser_rs_work_requests_total", ",kind=\"send\""),
        1530.0
    );
    assert_eq!(
        connection("iser_rs_invalidations_total", ",by=\"target\""),
        1000.0
    );
    assert_eq!(connection("iser_rs_commands_in_flight", ""), 2.0);
    assert_eq!(connection("iser_rs_oldest_command_seconds", ""), 45.0);
    assert_eq!(connection("iser_rs_receive_queue_low_water", ""), 200.0);
    let duration = "iser_rs_command_duration_seconds";
    assert_eq!(
        connection(&format!("{duration}_count"), ",direction=\"read\""),
        1000.0
    );
    assert_eq!(
        connection(
            &format!("{duration}_bucket"),
            ",direction=\"read\",le=\"0.000131072\""
        ),
        990.0
    );
    assert_eq!(
        connection(
            &format!("{duration}_bucket"),
            ",direction=\"read\",le=\"+Inf\""
        ),
        1000.0
    );
    let sum = connection(&format!("{duration}_sum"), ",direction=\"write\"");
    assert!((sum - 500.0 * 200_704e-9).abs() < 1e-9, "{sum}");
    assert!(all
        .keys()
        .any(|k| k.starts_with("iser_rs_last_error_timestamp_seconds")));
    assert!(!all
        .keys()
        .any(|k| k.contains("by-tcp") || k.contains("flowers")));
}

#[test]
fn every_counter_that_is_known_is_exported() {
    let f = Fixture::of("two-sessions");
    let all = parsed(&metrics(&snapshot(&Tree::new(f.root()))));
    // In the fixture, each has a figure of its own where that matters; here: that it is there.
    let of_connection_2 = all
        .keys()
        .filter(|k| k.contains("connection=\"2\"") && k.contains("_total{"));
    assert_eq!(of_connection_2.count(), 28 - 1);
}

#[test]
fn without_a_module_it_says_so() {
    let all = parsed(&metrics(&snapshot(&Tree::new(Fixture::empty().root()))));
    assert_eq!(
        all.into_iter().collect::<Vec<_>>(),
        [
            ("iser_rs_counters_readable".to_string(), 0.0),
            ("iser_rs_loaded".to_string(), 0.0)
        ]
    );
}

#[test]
fn malformed_input_makes_no_malformed_output() {
    let f = Fixture::of("malformed");
    let all = parsed(&metrics(&snapshot(&Tree::new(f.root()))));
    assert!(
        all.keys()
            .any(|k| k.contains(r#"target="iqn.2003-01.org.example:\"quoted\\\"""#)),
        "{all:?}"
    );
}

proptest! {
    #[test]
    fn whatever_names_there_are(
        target in "\\PC{0,40}",
        counters in prop::collection::btree_map("[a-z_]{1,20}|commands_read|wr_reg", any::<u64>(), 0..8),
        totals in prop::collection::btree_map("(protocol_errors_)?\\PC{0,20}", any::<u64>(), 0..8),
    ) {
        let all = parsed(&metrics(&Snapshot {
            taken: std::time::Instant::now(),
            driver: Driver::Ours,
            debugfs: Debugfs::Readable,
            latency: Some(true),
            totals,
            sessions: vec![],
            others: vec![Connection {
                info: [("target".to_string(), target)].into(),
                counters: counters.clone(),
                ..Connection::default()
            }],
        }));
        for (counter, metric) in [("commands_read", "commands_total"), ("wr_reg", "work_requests_total")] {
            let there = all.keys().any(|k| k.contains(metric));
            prop_assert_eq!(there, counters.contains_key(counter));
        }
    }
}
