//! The bounds of one run, with the defaults that an admin can change.

use std::time::Duration;

use jobcell_model::JobLimits;

/// A bound, and who set it: the one to ask for another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound<T> {
    /// How much.
    pub value: T,
    /// Whether the job asks for it, and not the server's configuration.
    pub by_job: bool,
}

impl<T: Copy + Ord> Bound<T> {
    /// A bound of the server's configuration.
    #[must_use]
    pub const fn of_admin(value: T) -> Self {
        Self {
            value,
            by_job: false,
        }
    }

    /// The narrower of what the admin and what a job asks for.
    fn narrower(admin: Option<Self>, job: Option<T>) -> Option<Self> {
        match (admin, job) {
            (Some(admin), Some(job)) if job >= admin.value => Some(admin),
            (_, Some(value)) => Some(Self {
                value,
                by_job: true,
            }),
            (admin, None) => admin,
        }
    }
}

/// What one run may use. Whatever ends a run names one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLimits {
    /// Memory and tables of the plugin in sum, in bytes (64 MiB).
    pub guest_memory: u64,
    /// Time in which the plugin itself computes (10 s).
    pub compute_time: Duration,
    /// Calls of host functions (1,000,000).
    pub host_calls: u64,
    /// Output kept from its start, in bytes (1 MiB).
    pub output_head: usize,
    /// Output kept from its end, in bytes (1 MiB).
    pub output_tail: usize,
    /// The longest log line, in bytes (16 KiB).
    pub log_line: usize,
    /// Steps that a run may report (10,000).
    pub steps: usize,
    /// The details of one step, in bytes of JSON (64 KiB).
    pub step_details: usize,
    /// Processes that a run's plugin may start (64).
    pub processes: u32,
    /// Processes of a run at a time, with all that they start (1,000).
    pub process_tree: Bound<u32>,
    /// Resident memory of a run's processes together, in bytes (no bound).
    pub process_memory: Option<Bound<u64>>,
    /// Processor time of a run's processes together (no bound).
    pub process_cpu_time: Option<Bound<Duration>>,
    /// Open files of each process (as many as the server's own may have).
    pub open_files: Option<Bound<u64>>,
    /// How long a process group has between being asked to end and being
    /// killed, and a plugin between a stop and its end (5 s).
    pub stop_grace: Duration,
    /// The files that a run leaves, in bytes together (16 MiB).
    pub artifact_bytes: u64,
    /// Rows of one SQL result (10,000).
    pub sql_rows: u64,
    /// Bytes of one SQL result (16 MiB).
    pub sql_bytes: u64,
    /// SQL connections that one run may hold (8).
    pub sql_connections: u32,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            guest_memory: 64 << 20,
            compute_time: Duration::from_secs(10),
            host_calls: 1_000_000,
            output_head: 1 << 20,
            output_tail: 1 << 20,
            log_line: 16 << 10,
            steps: 10_000,
            step_details: 64 << 10,
            processes: 64,
            process_tree: Bound::of_admin(1000),
            process_memory: None,
            process_cpu_time: None,
            open_files: None,
            stop_grace: Duration::from_secs(5),
            artifact_bytes: 16 << 20,
            sql_rows: 10_000,
            sql_bytes: 16 << 20,
            sql_connections: 8,
        }
    }
}

impl RunLimits {
    /// What a run of a job may use that asks for limits of its own. None of
    /// them widens what the admin allows.
    #[must_use]
    pub fn narrowed(&self, job: &JobLimits) -> Self {
        let mut limits = self.clone();
        limits.process_memory = Bound::narrower(self.process_memory, job.memory);
        limits.process_cpu_time = Bound::narrower(self.process_cpu_time, job.cpu_time);
        limits.open_files = Bound::narrower(self.open_files, job.open_files.map(u64::from));
        limits.process_tree =
            Bound::narrower(Some(self.process_tree), job.processes).unwrap_or(self.process_tree);
        if let Some(output) = job.output {
            // Half from the start, half from the end, as the server's own.
            let half = usize::try_from(output / 2).unwrap_or(usize::MAX);
            let most = limits.output_head.saturating_add(limits.output_tail);
            if output < most as u64 {
                limits.output_head = half;
                limits.output_tail = half;
            }
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_narrows_what_the_admin_allows_and_never_widens_it() {
        let admin = RunLimits {
            process_memory: Some(Bound::of_admin(100)),
            ..RunLimits::default()
        };
        let job = JobLimits {
            memory: Some(200),
            cpu_time: Some(Duration::from_secs(3)),
            processes: Some(5),
            open_files: Some(20_000),
            output: Some(4 << 20),
        };
        let limits = admin.narrowed(&job);
        assert_eq!(limits.process_memory, admin.process_memory);
        let of_job = |value| Bound {
            value,
            by_job: true,
        };
        assert_eq!(limits.process_tree, of_job(5));
        assert_eq!(limits.open_files.map(|bound| bound.value), Some(20_000));
        assert!(limits.process_cpu_time.is_some_and(|bound| bound.by_job));
        assert_eq!(limits.output_head, admin.output_head);
        let small = JobLimits {
            output: Some(100),
            ..JobLimits::default()
        };
        let limits = admin.narrowed(&small);
        assert_eq!((limits.output_head, limits.output_tail), (50, 50));
        assert_eq!(admin.narrowed(&JobLimits::default()), admin);
    }
}
