//! How much later than its schedule a job starts: the same on every machine,
//! in every version, for ever. Never random.

use std::time::Duration;

/// A hash of a seed: FNV-1a, with the finalizer of MurmurHash3, since seeds
/// that differ in the last byte alone would lie close together else. The
/// standard library's hasher may change with its version.
pub(super) fn hash(seed: &[u8]) -> u64 {
    let mut hash = seed.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// The offset of a job in milliseconds, below its jitter.
pub(super) fn offset(hash: u64, jitter: Duration) -> u64 {
    let jitter = u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX);
    hash.checked_rem(jitter).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_never_change_between_versions() {
        let minute = Duration::from_secs(60);
        let offsets = ["a", "b", "nightly-backup"].map(|job| offset(hash(job.as_bytes()), minute));
        assert_eq!(offsets, [8315, 26_704, 12_335]);
    }

    #[test]
    fn neighbours_lie_apart_and_all_in_the_range() {
        let hour = Duration::from_secs(3600);
        let mut buckets = [0; 12];
        for job in 0..12_000 {
            let offset = offset(hash(format!("job-{job}").as_bytes()), hour);
            buckets[usize::try_from(offset / 300_000).unwrap_or(99)] += 1;
        }
        assert!(
            buckets.iter().all(|count| (850..1150).contains(count)),
            "{buckets:?}"
        );
    }

    #[test]
    fn no_jitter_is_no_offset() {
        assert_eq!(offset(hash(b"a"), Duration::ZERO), 0);
        assert_eq!(offset(hash(b"a"), Duration::from_micros(5)), 0);
        assert!(offset(u64::MAX, Duration::MAX) < u64::MAX);
    }
}
