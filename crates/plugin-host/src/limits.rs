//! The bounds of one run, with the defaults that an admin can change.

use std::time::Duration;

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
    /// Processes that a run may start (64).
    pub processes: u32,
    /// How long a process group has between being asked to end and being
    /// killed, and a plugin between a stop and its end (5 s).
    pub stop_grace: Duration,
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
            stop_grace: Duration::from_secs(5),
            sql_rows: 10_000,
            sql_bytes: 16 << 20,
            sql_connections: 8,
        }
    }
}
