//! What the person who migrates decides: which jobs, and which day a 0 is. Asks
//! only where there is somebody to ask.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};

use chrono::Utc;
use jobcell_engine::Engine;
use jobcell_migrate::{Options, Report, Taken, V1Job, convert_all};

use super::report::Weekdays as Readings;
use super::text;
use crate::args::{Migrate, Weekdays};
use crate::exit::{Exit, Failure};
use crate::out::complain;

/// What `--only` leaves in.
pub(crate) struct Only<'a> {
    /// Whether V1's history is migrated.
    pub(crate) history: bool,
    /// Names or job_ids; empty for every job.
    names: Vec<&'a str>,
}

impl<'a> Only<'a> {
    pub(crate) fn read(only: &'a [String]) -> Self {
        let is_jobs = |text: &&String| text.as_str() == "jobs";
        Self {
            history: !only.iter().any(|text| is_jobs(&text)),
            names: only
                .iter()
                .filter(|text| !is_jobs(text))
                .map(String::as_str)
                .collect(),
        }
    }

    pub(crate) fn wants(&self, job: &V1Job) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| is(job, name))
    }

    /// Refuses names that no job has: a misspelt one would lose a job.
    pub(crate) fn all_found(&self, jobs: &[V1Job]) -> Result<(), Failure> {
        let lost = self
            .names
            .iter()
            .find(|name| !jobs.iter().any(|job| is(job, name)));
        match lost {
            Some(name) => {
                let name = text::plain(name);
                let message = format!("--only {name}: V1 has no job of this name or job_id");
                Err(Failure::message(Exit::Usage, message))
            }
            None => Ok(()),
        }
    }
}

fn is(job: &V1Job, name: &str) -> bool {
    let id = job.job_id.as_deref();
    job.name.as_deref() == Some(name) || id.is_some_and(|id| id.trim().eq_ignore_ascii_case(name))
}

/// Converts the jobs, and says which day a 0 was taken for.
pub(crate) fn convert(
    jobs: Vec<V1Job>,
    options: &Migrate,
    engine: &Engine,
    taken: &Taken,
    connections: Option<&BTreeMap<String, String>>,
) -> Result<(Report, &'static str), Failure> {
    let now = Utc::now();
    let convert = |jobs, weekdays| {
        let options = Options {
            types: engine.job_types().schemas(),
            weekdays,
            assume_timezone: options.assume_timezone,
            now,
            keep_broken: options.keep_broken,
            taken: taken.clone(),
            connections: connections.cloned(),
        };
        convert_all(jobs, &options)
    };
    let (sunday, monday) = (
        jobcell_migrate::Weekdays::Sunday,
        jobcell_migrate::Weekdays::Monday,
    );
    match options.weekdays {
        Weekdays::Sunday => Ok((convert(jobs, sunday), "sunday")),
        Weekdays::Monday => Ok((convert(jobs, monday), "monday")),
        Weekdays::Ask => {
            let found = convert(jobs.clone(), sunday);
            match differences(&found) {
                true if ask(&found)? => Ok((convert(jobs, monday), "monday")),
                _ => Ok((found, "sunday")),
            }
        }
    }
}

fn differences(report: &Report) -> bool {
    let mut jobs = report.migrated();
    jobs.any(|job| job.weekday_difference.is_some())
}

/// Shows the jobs that fire on other days, and asks. True for Monday.
fn ask(report: &Report) -> Result<bool, Failure> {
    let differ = report
        .migrated()
        .filter_map(|job| Some((job, job.weekday_difference.as_ref()?)));
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let count = differ.count();
        let message = format!(
            "{count} jobs fire on other days when a 0 is Monday, and there is no terminal to ask: say `--weekdays sunday` or `--weekdays monday` (`--dry-run` shows them)"
        );
        return Err(Failure::message(Exit::Usage, message));
    }
    for (job, difference) in differ {
        complain!("{}", text::plain(&job.name));
        for line in text::readings(&Readings::of(difference)) {
            complain!("  {line}");
        }
    }
    complain!("V1's form meant Sunday by a 0, and its scheduler took it for Monday.");
    loop {
        complain!("Which is meant: sunday or monday?");
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        let read =
            read.map_err(|error| Failure::context(Exit::Usage, error, "the answer can't be read"))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "sunday" | "s" => return Ok(false),
            "monday" | "m" => return Ok(true),
            _ if read == 0 => return Err(Failure::message(Exit::Usage, "there was no answer")),
            _ => {}
        }
    }
}
