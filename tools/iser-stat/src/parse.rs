// SPDX-License-Identifier: GPL-2.0

//! The text formats of the module's debugfs files.
//!
//! Newer modules say more than this knows of, older ones less, and a file may end early because
//! its connection did. So a line that does not fit is left out, and nothing here fails.

use std::collections::BTreeMap;

use crate::{
    histogram::{Bucket, Histogram},
    model::Slot,
};

pub type Fields = BTreeMap<String, String>;
pub type Counters = BTreeMap<String, u64>;

/// Lines `name: value`.
pub fn fields(text: &str) -> Fields {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_string(), value.trim().to_string()))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// Lines `name value`.
pub fn counters(text: &str) -> Counters {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, value) = (words.next()?, words.next()?.parse().ok()?);
            words.next().is_none().then(|| (name.to_string(), value))
        })
        .collect()
}

/// A line that names the columns, then one line for each slot in flight.
pub fn slots(text: &str) -> Vec<Slot> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
    lines
        .filter_map(|line| {
            let row: BTreeMap<&str, &str> = columns
                .iter()
                .copied()
                .zip(line.split_whitespace())
                .collect();
            Some(Slot {
                slot: row.get("slot")?.parse().ok()?,
                itt: row.get("itt")?.to_string(),
                state: row.get("state")?.to_string(),
                direction: row.get("direction")?.to_string(),
                bytes: row.get("bytes")?.parse().ok()?,
                age_ms: row.get("age_ms")?.parse().ok()?,
            })
        })
        .collect()
}

/// Lines `read|write <lower_ns> <upper_ns> <count>`: the histograms of reads and of writes.
pub fn latency(text: &str) -> (Histogram, Histogram) {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [direction, numbers @ ..] = words.as_slice() else {
            continue;
        };
        let numbers: Option<Vec<u64>> = numbers.iter().map(|n| n.parse().ok()).collect();
        if let Some([lower, upper, count]) = numbers.as_deref() {
            let (lower, upper, count) = (*lower, *upper, *count);
            match *direction {
                "read" => reads.push(Bucket {
                    lower,
                    upper,
                    count,
                }),
                "write" => writes.push(Bucket {
                    lower,
                    upper,
                    count,
                }),
                _ => {}
            }
        }
    }
    (Histogram::new(reads), Histogram::new(writes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_keep_colons_of_the_value() {
        let f =
            fields("target: iqn.2003-01.org.example:t\nportal: [fe80::1]:3260\nlast_error: none");
        assert_eq!(f["target"], "iqn.2003-01.org.example:t");
        assert_eq!(f["portal"], "[fe80::1]:3260");
        assert_eq!(f["last_error"], "none");
        assert_eq!(fields("target:\n: x\nrubbish\n")["target"], "");
        assert_eq!(fields("target:\n: x\nrubbish\n").len(), 1);
    }

    #[test]
    fn counters_that_are_no_numbers_are_left_out() {
        let c = counters(
            "a 1\nb -1\nc 18446744073709551615\nd 18446744073709551616\ne\nf 1 2\n\n g  7 ",
        );
        assert_eq!(
            c.into_iter().collect::<Vec<_>>(),
            [
                ("a".to_string(), 1),
                ("c".to_string(), u64::MAX),
                ("g".to_string(), 7)
            ]
        );
    }

    #[test]
    fn slots_are_read_by_the_names_of_the_columns() {
        let text = "itt slot colour age_ms state direction bytes\n\
                    0x10000007 7 red 31000 armed read 4096\n\
                    cut off\n";
        assert_eq!(
            slots(text),
            [Slot {
                slot: 7,
                itt: "0x10000007".into(),
                state: "armed".into(),
                direction: "read".into(),
                bytes: 4096,
                age_ms: 31000,
            }]
        );
        assert!(slots("").is_empty());
        assert!(slots("slot itt state direction bytes age_ms\n").is_empty());
    }

    #[test]
    fn latency_has_two_histograms() {
        let (reads, writes) =
            latency("read 1000 1100 5\nwrite 10 20 1\nread 1100 1200 x\nread 1 2\nnoise 1 2 3\n");
        assert_eq!((reads.count(), writes.count()), (5, 1));
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_makes_it_fail(text in "\\PC*(\n\\PC*){0,6}") {
            fields(&text);
            counters(&text);
            slots(&text);
            latency(&text);
        }

        #[test]
        fn counters_come_back(c in prop::collection::btree_map("[a-z_]{1,20}", any::<u64>(), 0..20)) {
            let lines: Vec<String> = c.iter().map(|(name, value)| format!("{name} {value}")).collect();
            let text = lines.join("\n");
            prop_assert_eq!(counters(&text), c);
        }

        #[test]
        fn what_was_cut_off_is_part_of_the_whole(cut in 0usize..200) {
            let text = "slot itt state direction bytes age_ms\n3 0x3 armed read 4096 12\n4 0x4 armed write 8192 7\n";
            let whole = slots(text);
            let part = slots(&text[..cut.min(text.len())]);
            prop_assert!(part.len() <= whole.len());
        }
    }
}
