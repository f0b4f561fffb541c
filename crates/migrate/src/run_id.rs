//! Ids for runs of V1, which had numbers. Never random: a second migration
//! finds the same ids.

use chrono::{DateTime, Utc};

use jobcell_model::{ExecutionId, JobId};

/// A UUID (version 7) with the time of the run and, where others are random,
/// bits that follow from what V1 called it. So runs sort by age beside V2's.
pub(crate) fn derived(job_id: JobId, number: &str, start: DateTime<Utc>) -> ExecutionId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"jobcell v1 run\0");
    hasher.update(job_id.as_bytes());
    hasher.update(number.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let milliseconds = u64::try_from(start.timestamp_millis()).unwrap_or(0);
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    ExecutionId::from_bytes(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age_and_are_the_same_again() {
        let job: JobId = "3f2504e0-4f89-41d3-9a0c-0305e82c3301".parse().unwrap();
        let at = |second: i64| DateTime::from_timestamp(1_756_800_000 + second, 0).unwrap();
        let (early, late) = (derived(job, "9", at(0)), derived(job, "1", at(1)));
        assert!(early < late && late < ExecutionId::generate());
        assert_eq!(early, derived(job, "9", at(0)));
        assert_ne!(early, derived(job, "8", at(0)));
        assert_eq!(early.to_string().as_bytes()[14], b'7');
    }
}
