//! What only the `stat` line of a process tells: when it began, and what those
//! whose end it took have used. To read it, Linux may wait until the process is
//! done with becoming another program, and on a machine that a fork bomb fills
//! that takes seconds: whoever has to end the bomb reads that of a shim only, which
//! never becomes another program.

use std::fs;
use std::io;
use std::time::Duration;

use super::proc;

/// Kernel ticks a second, as `/proc` counts processor time on every Linux.
const TICKS: u64 = 100;

/// Some of a process's `stat` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// A zombie is dead: it only waits for its parent to take note.
    pub(super) alive: bool,
    /// In ticks since the machine started: with its pid, who it is.
    pub(super) start: u64,
    pub(super) cpu_time: Duration,
    /// Processor time of all those whose end it has taken, and of theirs.
    pub(super) cpu_time_of_ended: Duration,
}

impl Stat {
    /// That of a process; none where there is no such process.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub(super) fn look(pid: i32) -> io::Result<Option<Self>> {
        match fs::read(format!("/proc/{pid}/stat")) {
            Ok(stat) => Ok(Self::parse(&stat)),
            Err(error) if proc::is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(stat: &[u8]) -> Option<Self> {
        let stat = String::from_utf8_lossy(stat);
        // The name may hold anything, parentheses too.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            alive: !matches!(fields.first(), Some(&("Z" | "X")) | None),
            start: number(19)?,
            cpu_time: ticks(number(11)? + number(12)?),
            cpu_time_of_ended: ticks(number(13)? + number(14)?),
        })
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / TICKS)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let rest = "S 7 9 9 0 -1 0 0 0 0 0 150 50 70 30 20 0 1 0 4711 0 3";
        let line = format!("12 (a) Z 1 (b)) {rest}");
        let stat = Stat::parse(line.as_bytes()).unwrap();
        assert_eq!(stat.start, 4711);
        assert_eq!(stat.cpu_time, Duration::from_secs(2));
        assert_eq!(stat.cpu_time_of_ended, Duration::from_secs(1));
        assert!(stat.alive);
        let dead = line.replace(") S", ") Z");
        assert!(!Stat::parse(dead.as_bytes()).unwrap().alive);
        assert!(Stat::parse(b"").is_none());
    }
}
