// SPDX-License-Identifier: GPL-2.0

//! Latency histograms, as the module counts them: buckets of ever greater width.

/// How many commands took from `lower` up to, not including, `upper` nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub lower: u64,
    pub upper: u64,
    pub count: u64,
}

/// Non-empty buckets in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<Bucket>,
}

impl Histogram {
    pub fn new(mut buckets: Vec<Bucket>) -> Self {
        buckets.retain(|b| b.count > 0 && b.lower < b.upper);
        buckets.sort_by_key(|b| (b.lower, b.upper));
        buckets.dedup_by(|again, b| {
            let same = (again.lower, again.upper) == (b.lower, b.upper);
            if same {
                b.count = b.count.saturating_add(again.count);
            }
            same
        });
        Self { buckets }
    }

    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .fold(0, |sum, b| sum.saturating_add(b.count))
    }

    /// The latency in nanoseconds that this share of the commands (0 to 1) did not exceed, on a
    /// straight line through the bucket in which it falls.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let count = self.count();
        let rank = (share.clamp(0.0, 1.0) * count as f64).max(1.0);
        let mut below = 0u64;
        for b in &self.buckets {
            let up_to = below.saturating_add(b.count);
            if up_to as f64 >= rank || up_to == count {
                let part = ((rank - below as f64) / b.count as f64).clamp(0.0, 1.0);
                let width = (b.upper - b.lower) as f64;
                return Some(b.lower + (part * width) as u64);
            }
            below = up_to;
        }
        None
    }

    /// The commands for certain at or below a latency: those of buckets that end there or before.
    pub fn count_up_to(&self, ns: u64) -> u64 {
        let whole = self.buckets.iter().take_while(|b| b.upper <= ns);
        whole.fold(0, |sum, b| sum.saturating_add(b.count))
    }

    /// All latencies together in nanoseconds, each taken for the middle of its bucket.
    pub fn estimated_sum(&self) -> f64 {
        let middle = |b: &Bucket| (b.lower as f64 + b.upper as f64) / 2.0;
        self.buckets
            .iter()
            .map(|b| b.count as f64 * middle(b))
            .sum()
    }

    /// What was counted since `before`. If it was emptied in between, all there is.
    pub fn since(&self, before: &Self) -> Self {
        if before.buckets.iter().any(|b| self.count_in(b) < b.count) {
            return self.clone();
        }
        let grown = |b: &Bucket| Bucket {
            count: b.count - before.count_in(b),
            ..*b
        };
        Self::new(self.buckets.iter().map(grown).collect())
    }

    fn count_in(&self, wanted: &Bucket) -> u64 {
        let same = |b: &&Bucket| (b.lower, b.upper) == (wanted.lower, wanted.upper);
        self.buckets.iter().find(same).map_or(0, |b| b.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(buckets: &[(u64, u64, u64)]) -> Histogram {
        let bucket = |&(lower, upper, count): &_| Bucket {
            lower,
            upper,
            count,
        };
        Histogram::new(buckets.iter().map(bucket).collect())
    }

    #[test]
    fn quantiles_of_known_counts() {
        let h = of(&[(100, 200, 90), (200, 400, 9), (1000, 2000, 1)]);
        assert_eq!(h.quantile(0.5), Some(155));
        assert_eq!(h.quantile(0.9), Some(200));
        assert_eq!(h.quantile(0.99), Some(400));
        assert_eq!(h.quantile(0.999), Some(1900));
        assert_eq!(h.quantile(1.0), Some(2000));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn counts_and_sums() {
        let h = of(&[
            (200, 400, 9),
            (100, 200, 90),
            (7, 7, 3),
            (9, 8, 3),
            (1, 2, 0),
        ]);
        assert_eq!(h.count(), 99);
        assert_eq!(
            (
                h.count_up_to(199),
                h.count_up_to(200),
                h.count_up_to(u64::MAX)
            ),
            (0, 90, 99)
        );
        assert_eq!(h.estimated_sum(), 90.0 * 150.0 + 9.0 * 300.0);
    }

    #[test]
    fn a_difference_and_a_restart() {
        let before = of(&[(1, 2, 5), (2, 4, 1)]);
        let after = of(&[(1, 2, 5), (2, 4, 3), (4, 8, 1)]);
        assert_eq!(after.since(&before), of(&[(2, 4, 2), (4, 8, 1)]));
        assert_eq!(before.since(&after), before);
        assert_eq!(after.since(&Histogram::default()), after);
    }

    fn any_histogram() -> impl Strategy<Value = Histogram> {
        // Log-linear: 4 buckets for each power of two.
        let bucket = (2u32..40, 0u64..4, any::<u64>()).prop_map(|(power, part, count)| {
            let step = 1u64 << (power - 2);
            let lower = (1u64 << power) + part * step;
            Bucket {
                lower,
                upper: lower + step,
                count: count >> 8,
            }
        });
        prop::collection::vec(bucket, 0..30).prop_map(Histogram::new)
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_in_a_bucket(h in any_histogram(), a in 0.0..1.0f64, b in 0.0..1.0f64) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(h.quantile(low) <= h.quantile(high));
            if let Some(q) = h.quantile(a) {
                prop_assert!(h.buckets().iter().any(|b| b.lower <= q && q <= b.upper));
            }
        }

        #[test]
        fn more_time_is_never_fewer_commands(h in any_histogram(), a: u64, b: u64) {
            prop_assert!(h.count_up_to(a.min(b)) <= h.count_up_to(a.max(b)));
            prop_assert_eq!(h.count_up_to(u64::MAX), h.count());
        }
    }
}
