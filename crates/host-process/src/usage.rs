//! What processes use and may use, as figures. Never looks or ends anything
//! itself.

use std::time::Duration;

/// What the processes of a run may use together; none where there is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Caps {
    /// Resident memory in bytes.
    pub(crate) memory: Option<u64>,
    /// Processor time.
    pub(crate) cpu_time: Option<Duration>,
    /// Processes at a time.
    pub(crate) processes: Option<u32>,
    /// Open files of each process.
    pub(crate) open_files: Option<u64>,
}

/// The bounds that processes can come up against as a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cap {
    Memory,
    CpuTime,
    Processes,
}

/// What a tree of processes uses at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Processor time so far.
    pub(crate) cpu_time: Duration,
    /// Resident memory now, or the most it ever was where that is known.
    pub(crate) memory: u64,
    /// Processes now.
    pub(crate) processes: u32,
    /// A bound that the kernel had to hold.
    pub(crate) refused: Option<Cap>,
}

/// What a process and all that descended from it used in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) wall_time: Duration,
    pub(crate) cpu_time: Duration,
    /// The most resident memory at a time, in bytes, as far as it was seen.
    pub(crate) peak_memory: u64,
    /// The most processes at a time.
    pub(crate) processes: u32,
    /// Bytes read from and written to disks.
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
}

impl Usage {
    /// The same with what a sample knows besides.
    pub(crate) fn with(self, sample: Sample) -> Self {
        Self {
            cpu_time: self.cpu_time.max(sample.cpu_time),
            peak_memory: self.peak_memory.max(sample.memory),
            processes: self.processes.max(sample.processes),
            ..self
        }
    }
}

impl Caps {
    /// The bound that is passed, if one is.
    pub(crate) fn passed(&self, used: &Sample) -> Option<Cap> {
        let over = |most: Option<u64>, used: u64| most.is_some_and(|most| used > most);
        let processes = self.processes.map(u64::from);
        if used.refused.is_some() {
            return used.refused;
        }
        if over(self.memory, used.memory) {
            return Some(Cap::Memory);
        }
        if self.cpu_time.is_some_and(|most| used.cpu_time > most) {
            return Some(Cap::CpuTime);
        }
        over(processes, u64::from(used.processes)).then_some(Cap::Processes)
    }

    /// Whether a job or an admin bounds more than the number of processes.
    pub(crate) const fn are_tight(&self) -> bool {
        self.memory.is_some() || self.cpu_time.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_passed_only_beyond_it() {
        let caps = Caps {
            memory: Some(10),
            cpu_time: Some(Duration::from_secs(1)),
            processes: Some(2),
            open_files: None,
        };
        let used = Sample {
            cpu_time: Duration::from_secs(1),
            memory: 10,
            processes: 2,
            refused: None,
        };
        assert_eq!(caps.passed(&used), None);
        let more = |change: fn(&mut Sample)| {
            let mut used = used;
            change(&mut used);
            caps.passed(&used)
        };
        assert_eq!(more(|used| used.memory += 1), Some(Cap::Memory));
        assert_eq!(more(|used| used.cpu_time *= 2), Some(Cap::CpuTime));
        assert_eq!(more(|used| used.processes += 1), Some(Cap::Processes));
        assert_eq!(
            more(|used| used.refused = Some(Cap::Memory)),
            Some(Cap::Memory)
        );
        assert_eq!(Caps::default().passed(&used), None);
    }
}
