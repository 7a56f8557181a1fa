// SPDX-License-Identifier: GPL-2.0

//! Numbers as a person reads them, in a few characters.

/// Three digits and a prefix of the SI: `987`, `1.23k`, `45.6M`.
pub fn count(value: f64) -> String {
    scaled(value, "")
}

/// `4.10 kB`, `12.3 MB`.
pub fn bytes(value: f64) -> String {
    if value < 999.5 {
        return format!("{value:.0} B");
    }
    scaled(value, " ") + "B"
}

fn scaled(value: f64, space: &str) -> String {
    if value < 99.95 && value.fract() != 0.0 {
        return if value < 9.995 {
            format!("{value:.2}")
        } else {
            format!("{value:.1}")
        };
    }
    if value < 999.5 {
        return format!("{value:.0}");
    }
    let mut value = value;
    for prefix in ["k", "M", "G", "T", "P", "E"] {
        value /= 1000.0;
        if value < 999.5 || prefix == "E" {
            return format!("{}{space}{prefix}", three_digits(value));
        }
    }
    unreachable!("the last prefix takes all")
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// A latency: `870ns`, `12.3µs`, `4.56ms`, `1.20s`.
pub fn latency(ns: u64) -> String {
    if ns < 1000 {
        return format!("{ns}ns");
    }
    let ns = ns as f64;
    for (unit, size) in [("µs", 1e3), ("ms", 1e6)] {
        if ns / size < 999.5 {
            return three_digits(ns / size) + unit;
        }
    }
    three_digits(ns / 1e9) + "s"
}

/// How long ago: `12 s`, `3 min`, `5 h`, `2 days`.
pub fn age(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86400.0),
    }
}

/// A name in at most `width` characters: its end tells more than its middle.
pub fn shortened(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_string();
    }
    let tail = width.saturating_sub(1);
    let dots = if width > 0 { "…" } else { "" };
    let end: String = name.chars().skip(length - tail).collect();
    format!("{dots}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        let c: Vec<_> = [0.0, 0.5, 7.0, 99.96, 999.4, 999.6, 1234.0, 45_600_000.0]
            .map(count)
            .into();
        assert_eq!(
            c,
            ["0", "0.50", "7", "100", "999", "1.00k", "1.23k", "45.6M"]
        );
        assert_eq!(
            [0.0, 512.0, 4096.0, 1e12].map(bytes),
            ["0 B", "512 B", "4.10 kB", "1.00 TB"]
        );
        assert_eq!(
            [0, 999, 12_345, 4_560_000, 999_600_000, 20_000_000_000].map(latency),
            ["0ns", "999ns", "12.3µs", "4.56ms", "1.00s", "20.0s"]
        );
        assert_eq!(
            [1.25, 12.0, 180.0, 18_000.0, 200_000.0].map(age),
            ["1.2 s", "12 s", "3 min", "5 h", "2 days"]
        );
    }

    #[test]
    fn names() {
        assert_eq!(
            shortened("iqn.2003-01.org.example:t", 30),
            "iqn.2003-01.org.example:t"
        );
        assert_eq!(shortened("iqn.2003-01.org.example:t", 10), "…example:t");
        assert_eq!(
            (shortened("abc", 1), shortened("abc", 0)),
            ("…".into(), "".into())
        );
    }

    proptest! {
        #[test]
        fn counts_are_short(value in 0.0..1e20f64) {
            prop_assert!(count(value).len() <= 5, "{}", count(value));
            prop_assert!(bytes(value).len() <= 7, "{}", bytes(value));
        }

        #[test]
        fn latencies_are_short(ns in 0u64..999_000_000_000) {
            prop_assert!(latency(ns).chars().count() <= 6, "{}", latency(ns));
        }
    }
}
