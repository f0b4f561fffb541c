//! How long a job's runs took, in so little room that it is written with each
//! of them. Never keeps the single durations.

use std::collections::BTreeMap;

/// Durations counted by size: each bucket is 4 % wider than the one below it,
/// so that a quantile is known to within 2 %, as in the `DDSketch` of Masson,
/// Rim and Lee (VLDB 2019).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations(BTreeMap<i16, u64>);

/// How far a quantile may be off.
const ACCURACY: f64 = 0.02;
const GROWTH: f64 = (1.0 + ACCURACY) / (1.0 - ACCURACY);
/// What is shorter counts as so long: a microsecond.
const SHORTEST: f64 = 1e-6;
/// What is longer counts as so long: about three years.
const LONGEST: f64 = 1e8;

impl Durations {
    /// Counts one, in seconds.
    pub fn add(&mut self, seconds: f64) {
        *self.0.entry(bucket(seconds)).or_default() += 1;
    }

    /// The duration in seconds that this part of all, from 0 to 1, did not
    /// exceed; none before the first.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts stay far below 2^53, and the rank lies between 1 and their sum"
    )]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count: u64 = self.0.values().sum();
        let rank = (part.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        self.0.iter().find_map(|(bucket, count)| {
            below += count;
            (below >= rank).then(|| middle(*bucket))
        })
    }

    /// What is counted: the number of a bucket and how many are in it.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (i16, u64)> {
        self.0.iter().map(|(bucket, count)| (*bucket, *count))
    }
}

impl FromIterator<(i16, u64)> for Durations {
    fn from_iter<I: IntoIterator<Item = (i16, u64)>>(buckets: I) -> Self {
        Self(
            buckets
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect(),
        )
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithms of the bounds lie between -400 and 500"
)]
fn bucket(seconds: f64) -> i16 {
    let seconds = if seconds.is_nan() { SHORTEST } else { seconds };
    seconds.clamp(SHORTEST, LONGEST).log(GROWTH).ceil() as i16
}

/// The value that is at most 2 % from each in its bucket.
fn middle(bucket: i16) -> f64 {
    2.0 * GROWTH.powi(i32::from(bucket)) / (GROWTH + 1.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_is_within_two_percent(
            mut given in proptest::collection::vec(1e-6..1e7_f64, 1..500),
            part in 0.0..=1.0_f64,
        ) {
            let mut durations = Durations::default();
            given.iter().for_each(|seconds| durations.add(*seconds));
            given.sort_by(f64::total_cmp);
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "below 500")]
            let rank = (part * given.len() as f64).ceil().max(1.0) as usize;
            let exact = given[rank - 1];
            let found = durations.quantile(part).unwrap();
            prop_assert!((found / exact - 1.0).abs() < 0.0201, "{found} for {exact}");
        }
    }

    #[test]
    fn what_is_no_duration_does_no_harm() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantile(0.95), None);
        for odd in [
            0.0,
            -1.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
        ] {
            durations.add(odd);
        }
        assert!(durations.quantile(0.5).unwrap() < 1.1e-6);
        assert!(durations.quantile(1.0).unwrap() > 9e7);
    }

    #[test]
    fn buckets_make_the_same_again() {
        let mut durations = Durations::default();
        for seconds in [0.1, 0.1, 3.0] {
            durations.add(seconds);
        }
        let again: Durations = durations.buckets().collect();
        assert_eq!(again, durations);
        assert_eq!(durations.buckets().len(), 2);
    }
}
