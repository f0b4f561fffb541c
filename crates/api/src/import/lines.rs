//! Reads an import line by line, in their one order. Blocks, never judges what is
//! in a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use jobcell_model::ForeignRun;

use super::wire::{IMPORT_VERSION, ImportConnection, ImportCounts, ImportJob, ImportLine};
use crate::error::ApiError;

/// The longest line, in bytes.
const LONGEST: u64 = 64 << 20;
/// The most connections.
const MOST_CONNECTIONS: usize = 10_000;
/// How much of what is wrong with a line is told, in characters.
const TOLD: usize = 200;
/// The most that all connections and jobs may be together, which lie in memory.
const MOST_BEFORE_RUNS: u64 = 512 << 20;

/// A line that has no place or can't be read.
#[derive(Debug)]
pub(super) struct Wrong {
    line: u64,
    what: String,
}

impl From<Wrong> for ApiError {
    fn from(Wrong { line, what }: Wrong) -> Self {
        Self::malformed("malformed_import", format!("line {line}: {what}")).with("line", line)
    }
}

/// What comes before the runs, and the lines from there on.
pub(super) struct Opened {
    pub(super) connections: Vec<ImportConnection>,
    pub(super) jobs: Vec<ImportJob>,
    pub(super) runs: Runs,
}

/// The runs of an import, one after the other.
pub(super) struct Runs {
    lines: Lines,
    /// What was read in vain for another job.
    next: Option<ImportLine>,
    counts: ImportCounts,
}

/// Reads up to the first run.
pub(super) fn open(file: File) -> Result<Opened, Wrong> {
    let mut lines = Lines {
        from: BufReader::with_capacity(1 << 16, file),
        number: 0,
        read: 0,
    };
    match lines.next()? {
        ImportLine::Version(IMPORT_VERSION) => {}
        ImportLine::Version(other) => {
            return Err(lines.wrong(format!(
                "version {other} is not known here, only {IMPORT_VERSION}: use the `jobcell` of \
                 the server's version"
            )));
        }
        _ => return Err(lines.wrong("the first line should be {\"version\": 1}")),
    }
    let (mut connections, mut jobs) = (Vec::new(), Vec::new());
    let next = loop {
        match lines.next()? {
            ImportLine::Connection(_) if connections.len() >= MOST_CONNECTIONS => {
                return Err(lines.wrong(format!(
                    "there are more than {MOST_CONNECTIONS} connections"
                )));
            }
            ImportLine::Connection(connection) if jobs.is_empty() => connections.push(*connection),
            ImportLine::Job(job) => jobs.push(*job),
            next @ (ImportLine::Run(_) | ImportLine::End(_)) => break next,
            _ => return Err(lines.out_of_order()),
        }
        if lines.read > MOST_BEFORE_RUNS {
            return Err(lines.wrong(format!(
                "the connections and jobs are larger than {MOST_BEFORE_RUNS} bytes together"
            )));
        }
    };
    let counts = ImportCounts {
        connections: connections.len() as u64,
        jobs: jobs.len() as u64,
        runs: 0,
    };
    Ok(Opened {
        connections,
        jobs,
        runs: Runs {
            lines,
            next: Some(next),
            counts,
        },
    })
}

impl Runs {
    /// The next run; none when that were all, and nothing is missing.
    pub(super) fn next(&mut self) -> Result<Option<Box<ForeignRun>>, Wrong> {
        let line = match self.next.take() {
            Some(line) => line,
            None => self.lines.next()?,
        };
        match line {
            ImportLine::Run(run) => {
                self.counts.runs += 1;
                Ok(Some(run))
            }
            ImportLine::End(counts) if counts != self.counts => Err(self.lines.wrong(format!(
                "the end tells of {} connections, {} jobs and {} runs, but {}, {} and {} came",
                counts.connections,
                counts.jobs,
                counts.runs,
                self.counts.connections,
                self.counts.jobs,
                self.counts.runs
            ))),
            ImportLine::End(_) => self.lines.nothing_more().map(|()| None),
            _ => Err(self.lines.out_of_order()),
        }
    }

    /// Something is wrong with the run that was read last.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Wrong {
        self.lines.wrong(what)
    }
}

struct Lines {
    from: BufReader<File>,
    number: u64,
    read: u64,
}

impl Lines {
    /// The next line that is not blank: a sender with nothing to send shows by blank
    /// ones that it is there.
    fn next(&mut self) -> Result<ImportLine, Wrong> {
        let line = loop {
            let line = self.bytes()?;
            if line.is_empty() {
                return Err(self.wrong("the import ends without its last line, `end`"));
            }
            if !line.trim_ascii().is_empty() {
                break line;
            }
        };
        serde_json::from_slice(&line).map_err(|error| self.unread(&line, &error))
    }

    /// A line that can't be read. Of one that may hold a password, nothing is quoted.
    fn unread(&self, line: &[u8], error: &serde_json::Error) -> Wrong {
        let what = error.to_string();
        let end = what.rfind(" at line ").unwrap_or(what.len());
        let what = if line.trim_ascii_start().starts_with(b"{\"connection\"") {
            "the connection can't be read"
        } else {
            &what[..end]
        };
        let told: String = what.chars().take(TOLD).collect();
        self.wrong(format!("column {}: {told}", error.column()))
    }

    /// Sees that only blank lines are left.
    fn nothing_more(&mut self) -> Result<(), Wrong> {
        loop {
            let line = self.bytes()?;
            if line.is_empty() {
                return Ok(());
            }
            if !line.trim_ascii().is_empty() {
                return Err(self.wrong("there is more after the last line, `end`"));
            }
        }
    }

    /// The next line with its end; nothing at the end of all.
    fn bytes(&mut self) -> Result<Vec<u8>, Wrong> {
        self.number += 1;
        let mut line = Vec::new();
        let read = (&mut self.from).take(LONGEST).read_until(b'\n', &mut line);
        self.read += read.map_err(|error| self.wrong(error.to_string()))? as u64;
        if line.len() as u64 == LONGEST && !line.ends_with(b"\n") {
            return Err(self.wrong(format!("the line is longer than {LONGEST} bytes")));
        }
        Ok(line)
    }

    fn out_of_order(&self) -> Wrong {
        self.wrong("connections come first, then jobs, then runs, then `end`")
    }

    fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong {
            line: self.number,
            what: what.into(),
        }
    }
}
