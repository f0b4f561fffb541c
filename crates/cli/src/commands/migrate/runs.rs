//! V1's history on its way to the store: each row is converted and passed on at
//! once. Never holds more than a page of it.

use std::collections::{BTreeMap, HashMap};

use chrono_tz::Tz;
use jobcell_migrate::{Outcome, RunOwner, V1History, masked_text};
use jobcell_model::ForeignRun;
use jobcell_store::{Fed, ImportedRun, StorageError, Store};
use serde::Serialize;
use tokio::sync::mpsc;

use super::remote::{Fate, Sending};
use super::v1::Row;

/// Kinds of notes that are told apart.
const KINDS: usize = 20;
/// After how many rows the log tells how far it is.
const TOLD: u64 = 10_000;
/// Rows that can't be migrated, of which each is shown.
const SHOWN: usize = 100;

/// What became of the history.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Runs {
    pub(crate) rows: u64,
    pub(crate) added: u64,
    /// Those that were migrated before.
    pub(crate) present: u64,
    /// Runs of jobs that V1 has no more.
    pub(crate) without_job: u64,
    /// Runs of jobs that are broken.
    pub(crate) of_broken_jobs: u64,
    /// Runs of jobs that `--only` left out.
    pub(crate) left_out: u64,
    /// Rows that can't be migrated.
    pub(crate) unreadable: u64,
    /// The first of these.
    pub(crate) unreadable_rows: Vec<UnreadableRun>,
    /// What was decided, and for how many runs.
    pub(crate) notes: BTreeMap<String, u64>,
}

/// A row that can't be migrated.
#[derive(Debug, Serialize)]
pub(crate) struct UnreadableRun {
    pub(crate) execution_id: Option<String>,
    pub(crate) job_id: Option<String>,
    pub(crate) reason: String,
}

/// Whose the runs are, by V1's ids of jobs.
#[derive(Debug, Default)]
pub(crate) struct Owners(HashMap<String, Owner>);

#[derive(Debug)]
enum Owner {
    Job(Box<RunOwner>),
    Broken,
    LeftOut,
}

/// Where runs go.
pub(crate) enum Target<'a> {
    /// Into the store.
    Store(&'a mpsc::Sender<Fed>),
    /// To a server.
    Server(&'a mut Sending),
    /// Nowhere; the store is only asked which it has.
    Nowhere(&'a dyn Store),
}

impl Owners {
    /// Of two rows with one id, the first is the one whose runs V1 meant.
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let mut owners = Self::default();
        for outcome in outcomes {
            let (id, owner) = match outcome {
                Outcome::Migrated(job) => (
                    &job.original_job_id,
                    Owner::Job(Box::new(RunOwner::from(job.as_ref()))),
                ),
                Outcome::Broken(broken) => (&broken.job_id, Owner::Broken),
            };
            owners.put(id.as_deref(), owner);
        }
        owners
    }

    pub(crate) fn leave_out(&mut self, job_id: Option<&str>) {
        self.put(job_id, Owner::LeftOut);
    }

    fn put(&mut self, job_id: Option<&str>, owner: Owner) {
        if let Some(id) = job_id {
            self.0.entry(plain(id)).or_insert(owner);
        }
    }

    fn find(&self, job_id: Option<&str>) -> Option<&Owner> {
        self.0.get(&plain(job_id?))
    }
}

fn plain(id: &str) -> String {
    id.trim().to_ascii_lowercase()
}

impl Runs {
    /// Converts what comes and passes it on, until all came or nobody wants
    /// more.
    pub(crate) async fn pass_on(
        &mut self,
        mut pages: mpsc::Receiver<Vec<Row>>,
        owners: &Owners,
        zone: Tz,
        mut target: Target<'_>,
    ) -> Result<(), StorageError> {
        while let Some(page) = pages.recv().await {
            for row in page {
                let Some(run) = self.convert(&row, owners, zone) else {
                    continue;
                };
                let (owner, run) = run;
                match &mut target {
                    Target::Store(to) => {
                        let run = Box::new(imported(run, owner));
                        if to.send(Fed::Run(run)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Target::Server(sending) => {
                        let number = run.noted["executionId"].as_str().map(str::to_owned);
                        match sending.run(run).await {
                            Fate::OnItsWay => {}
                            Fate::TooLong => self.too_long(number, &owner.key),
                            Fate::Unwanted => return Ok(()),
                        }
                    }
                    Target::Nowhere(store) => match store.execution(run.execution_id).await? {
                        Some(_) => self.present += 1,
                        None => self.added += 1,
                    },
                }
            }
        }
        Ok(())
    }

    fn convert<'o>(
        &mut self,
        row: &Row,
        owners: &'o Owners,
        zone: Tz,
    ) -> Option<(&'o RunOwner, ForeignRun)> {
        self.rows += 1;
        if self.rows.is_multiple_of(TOLD) {
            tracing::info!(rows = self.rows, "reading V1's history");
        }
        let row = V1History::from_row(row);
        let owner = match owners.find(row.job_id.as_deref()) {
            Some(Owner::Job(owner)) => owner,
            other => {
                *match other {
                    Some(Owner::Broken) => &mut self.of_broken_jobs,
                    Some(Owner::LeftOut) => &mut self.left_out,
                    _ => &mut self.without_job,
                } += 1;
                return None;
            }
        };
        match row.convert(owner, zone) {
            Ok(run) => {
                run.notes.iter().for_each(|note| self.note(note));
                Some((owner, run.run))
            }
            Err(error) => {
                self.unreadable += 1;
                if self.unreadable_rows.len() < SHOWN {
                    self.unreadable_rows.push(UnreadableRun {
                        execution_id: row.execution_id,
                        job_id: row.job_id,
                        reason: masked_text(&error.to_string()),
                    });
                }
                None
            }
        }
    }

    fn too_long(&mut self, execution_id: Option<String>, job: &str) {
        self.unreadable += 1;
        if self.unreadable_rows.len() < SHOWN {
            let reason = format!(
                "the run of {job} is too long to be sent; migrate it into the data folder, which \
                 needs the server stopped"
            );
            self.unreadable_rows.push(UnreadableRun {
                execution_id,
                job_id: None,
                reason,
            });
        }
    }

    /// Counts a note; numbers in it make no other kind of it.
    fn note(&mut self, note: &str) {
        let mut kind = String::new();
        for one in note.chars() {
            match one {
                // `V1` is a name.
                '0'..='9' | '.' if !kind.ends_with('V') => {
                    if !kind.ends_with('…') {
                        kind.push('…');
                    }
                }
                one => kind.push(one),
            }
        }
        if !self.notes.contains_key(&kind) && self.notes.len() >= KINDS {
            "other notes".clone_into(&mut kind);
        }
        *self.notes.entry(kind).or_default() += 1;
    }
}

fn imported(run: ForeignRun, owner: &RunOwner) -> ImportedRun {
    let (execution, output) = run.into_history(owner.key.clone(), owner.job_type.clone());
    ImportedRun { execution, output }
}
