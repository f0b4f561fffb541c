//! What the processes of one run use together, and what happens when that is
//! more than they may. Never waits for a process.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{RunLimits, failure};

use crate::system::View;
use crate::usage::{Cap, Caps, Sample, Usage};

/// The figures of a run.
#[derive(Debug)]
pub(crate) struct Meter {
    caps: Caps,
    children: Mutex<Vec<Counted>>,
    passed: OnceLock<Cap>,
    left: OnceLock<String>,
}

/// What a sample tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All there is now.
    Now,
    /// Processor time alone.
    CpuTime,
    /// All there is to be known, for ever.
    End,
}

/// One process with its descendants.
#[derive(Debug)]
struct Counted {
    /// None once it has ended.
    view: Option<View>,
    last: Sample,
    peak: Sample,
}

impl Meter {
    pub(crate) fn new(caps: Caps) -> Self {
        Self {
            caps,
            children: Mutex::default(),
            passed: OnceLock::new(),
            left: OnceLock::new(),
        }
    }

    pub(crate) const fn caps(&self) -> Caps {
        self.caps
    }

    /// Begins to count a process, and says which one it is.
    pub(crate) fn add(&self, view: View) -> usize {
        let mut children = self.lock();
        // Others passed a bound while this one was started.
        if self.passed.get().is_some() {
            view.kill();
        }
        children.push(Counted {
            view: Some(view),
            last: Sample::default(),
            peak: Sample {
                processes: 1,
                ..Sample::default()
            },
        });
        children.len() - 1
    }

    /// Looks at a process once; false when there is nothing more to see.
    pub(crate) fn look(&self, child: usize) -> bool {
        let Some(view) = self.view(child) else {
            return false;
        };
        if self.passed.get().is_some() {
            // A bomb may have got away from the first kill, and nobody else has
            // a turn before it.
            view.kill();
        } else {
            let sample = view.sample(self.caps.processes);
            self.note(child, sample, Told::Now);
        }
        true
    }

    /// Looks once at processor time that [`Meter::look`] can't see; it may wait
    /// for some program to start. False when there is nothing more to see.
    pub(crate) fn look_at_ended(&self, child: usize) -> bool {
        let view = self.view(child).filter(|_| self.passed.get().is_none());
        let Some(view) = view else {
            return false;
        };
        let sample = Sample {
            cpu_time: view.cpu_time_with_ended(self.caps.processes),
            ..Sample::default()
        };
        self.note(child, sample, Told::CpuTime);
        true
    }

    /// Looks at it no more: it is gone. What it ran for stays counted.
    pub(crate) fn forget(&self, child: usize) {
        if let Some(counted) = self.lock().get_mut(child) {
            counted.view = None;
            counted.last = Sample {
                cpu_time: counted.last.cpu_time,
                ..Sample::default()
            };
        }
    }

    /// Counts what a process used in the end, and what the kernel refused it,
    /// and gives it back with what was seen besides.
    pub(crate) fn ended(&self, child: usize, usage: Usage, refused: Option<Cap>) -> Usage {
        let peak = {
            let mut children = self.lock();
            let Some(counted) = children.get_mut(child) else {
                return usage;
            };
            counted.view = None;
            counted.peak
        };
        let usage = usage.with(peak);
        self.note(
            child,
            Sample {
                cpu_time: usage.cpu_time,
                refused,
                ..Sample::default()
            },
            Told::End,
        );
        usage
    }

    /// Notes what is there although it was killed.
    pub(crate) fn could_not_end(&self, left: String) {
        // One sentence is enough; the first is nearest to the cause.
        drop(self.left.set(left));
    }

    /// What is there although it was killed.
    pub(crate) fn left(&self) -> Option<&str> {
        self.left.get().map(String::as_str)
    }

    /// The bound that the run passed.
    pub(crate) fn passed(&self) -> Option<Cap> {
        self.passed.get().copied()
    }

    /// Takes a sample in, and ends the run's processes when together they use
    /// more than they may. What was seen of a process counts no more once it is
    /// known what it used in the end.
    fn note(&self, child: usize, sample: Sample, told: Told) {
        let mut children = self.lock();
        if let Some(counted) = children.get_mut(child)
            && (told == Told::End || counted.view.is_some())
        {
            // Of processor time each look sees a part, and none is given back.
            let cpu_time = counted.last.cpu_time.max(sample.cpu_time);
            counted.last = match told {
                Told::Now => Sample { cpu_time, ..sample },
                Told::CpuTime => Sample {
                    cpu_time,
                    ..counted.last
                },
                Told::End => sample,
            };
            counted.peak = highest(counted.peak, counted.last);
        }
        let together = children.iter().map(|one| one.last).fold(sample.none(), sum);
        let Some(passed) = self.caps.passed(&together) else {
            return;
        };
        if self.passed.set(passed).is_ok() {
            let views = children.iter().filter_map(|one| one.view.as_ref());
            views.for_each(View::kill);
        }
    }

    fn view(&self, child: usize) -> Option<View> {
        self.lock().get(child)?.view.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Counted>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sample {
    /// Nothing used, but what was refused stays refused.
    fn none(self) -> Self {
        Self {
            refused: self.refused,
            ..Self::default()
        }
    }
}

fn sum(one: Sample, other: Sample) -> Sample {
    Sample {
        cpu_time: one.cpu_time + other.cpu_time,
        memory: one.memory + other.memory,
        processes: one.processes.saturating_add(other.processes),
        refused: one.refused.or(other.refused),
    }
}

fn highest(one: Sample, other: Sample) -> Sample {
    Sample {
        cpu_time: one.cpu_time.max(other.cpu_time),
        memory: one.memory.max(other.memory),
        processes: one.processes.max(other.processes),
        refused: one.refused.or(other.refused),
    }
}

/// The bounds of a run's processes.
pub(crate) fn caps(limits: &RunLimits) -> Caps {
    Caps {
        memory: limits.process_memory.map(|bound| bound.value),
        cpu_time: limits.process_cpu_time.map(|bound| bound.value),
        processes: Some(limits.process_tree.value),
        open_files: limits.open_files.map(|bound| bound.value),
    }
}

/// A passed bound as the contract's failure.
pub(crate) fn failure(limits: &RunLimits, cap: Cap) -> Failure {
    let by_job = |by_job: bool, job, admin| if by_job { job } else { admin };
    match cap {
        Cap::Memory => {
            let bound = limits.process_memory.unwrap_or_default();
            let setting = by_job(bound.by_job, "job.limits.memory", "limits.processMemory");
            failure::limit("process.memory", bytes(bound.value), setting)
        }
        Cap::CpuTime => {
            let bound = limits.process_cpu_time.unwrap_or_default();
            let setting = by_job(bound.by_job, "job.limits.cpuTime", "limits.processCpuTime");
            let value = format!("{} s", bound.value.as_secs_f64());
            failure::limit("process.cpu-time", value, setting)
        }
        Cap::Processes => {
            let bound = limits.process_tree;
            let setting = by_job(bound.by_job, "job.limits.processes", "limits.processTree");
            let value = format!("{} processes at a time", bound.value);
            failure::limit("process.count", value, setting)
        }
    }
}

fn bytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_seen_before_the_end_and_told_after_it_does_not_count() {
        let caps = Caps {
            memory: Some(10),
            ..Caps::default()
        };
        let meter = Meter::new(caps);
        let child = meter.add(View::of_nothing());
        let used = Usage {
            cpu_time: Duration::from_secs(1),
            ..Usage::default()
        };
        meter.ended(child, used, None);
        let late = Sample {
            memory: 11,
            ..Sample::default()
        };
        meter.note(child, late, Told::Now);
        assert_eq!(meter.passed(), None);
        assert_eq!(meter.lock()[child].last.cpu_time, used.cpu_time);
    }

    #[test]
    fn processor_time_that_only_one_look_sees_stays_known() {
        let meter = Meter::new(Caps::default());
        let child = meter.add(View::of_nothing());
        let seen = |cpu_time, memory| Sample {
            cpu_time: Duration::from_secs(cpu_time),
            memory,
            ..Sample::default()
        };
        meter.note(child, seen(1, 10), Told::Now);
        meter.note(child, seen(3, 0), Told::CpuTime);
        meter.note(child, seen(2, 20), Told::Now);
        assert_eq!(meter.lock()[child].last, seen(3, 20));
    }
}
