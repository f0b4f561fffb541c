//! Stored jobs: checking, creating, changing, deleting. Never starts a run.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use jobcell_model::{JobDocument, JobId, JobRecord, JobRef, Problem, Severity, StoredJob};
use jobcell_plugin_host::bindings::types;
use jobcell_store::{CreateJobError, JobTriggers, PlannedFiring, ReplaceJobError, StorageError};

use crate::Engine;
use crate::error::{DeleteJobError, SaveJobError};
use crate::{dispatch, planner, prepare};

/// How many jobs of a circle are named.
const MOST_NAMED: usize = 8;

/// A job to be created.
#[derive(Debug, Clone, Default)]
pub struct NewJob {
    /// Its YAML, kept as written.
    pub yaml: String,
    /// Its name; without it, the YAML's.
    pub name: Option<String>,
    /// What it is for; without it, the YAML's.
    pub description: Option<String>,
    /// Whether it may run; without it, the YAML's.
    pub enabled: Option<bool>,
    /// Who creates it.
    pub created_by: String,
}

/// What is to change of a job; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct JobChange {
    /// New YAML. Where its name, description or enabled differ from the old
    /// YAML's, they count; where they do not, the stored ones stay.
    pub yaml: Option<String>,
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// Whether it may run.
    pub enabled: Option<bool>,
    /// The revision that the caller read; a later one is a conflict.
    pub expected_revision: Option<u64>,
}

/// A job that passed every check.
#[derive(Debug, Clone)]
pub struct CheckedJob {
    /// The job as understood.
    pub document: Arc<JobDocument>,
    /// What is doubtful in it.
    pub warnings: Vec<Problem>,
}

impl Engine {
    /// Checks a job: its YAML, its type's schema, its plugin's own rules.
    ///
    /// # Errors
    /// All that must be put right, in the order of the text.
    pub async fn check(&self, yaml: &str) -> Result<CheckedJob, Vec<Problem>> {
        let job_types = &self.0.job_types;
        let document = self.0.read(yaml)?;
        let mut warnings = document.warnings.clone();
        warnings.extend(without_effect(&document));
        let mut errors = Vec::new();
        if let Some(plugin) = job_types.get(&document.spec.job_type) {
            let configuration = configuration_text(&document);
            match plugin.validate(&configuration).await {
                Ok(problems) => {
                    for problem in problems {
                        let located = locate(&document, problem);
                        match located.severity {
                            Severity::Error => errors.push(located),
                            Severity::Warning => warnings.push(located),
                        }
                    }
                }
                Err(failure) => errors.push(plugin_failed(&document, &failure.message)),
            }
        }
        if errors.is_empty() {
            return Ok(CheckedJob {
                document: Arc::new(document),
                warnings,
            });
        }
        errors.sort_by_key(|problem| (problem.line, problem.column));
        Err(errors)
    }

    /// Stores a new job.
    ///
    /// # Errors
    /// When it is not valid, its `id` is taken, or the storage fails.
    pub async fn create_job(&self, new: NewJob) -> Result<StoredJob, SaveJobError> {
        let checked = self.check(&new.yaml).await.map_err(SaveJobError::Invalid)?;
        let spec = &checked.document.spec;
        let now = self.0.clock.now();
        let record = JobRecord {
            job_id: JobId::generate(),
            key: spec.id.clone(),
            name: new.name.unwrap_or_else(|| spec.name.clone()),
            description: new
                .description
                .or_else(|| spec.description.clone())
                .unwrap_or_default(),
            job_type: spec.job_type.clone(),
            enabled: new.enabled.unwrap_or(spec.enabled),
            yaml_configuration: new.yaml,
            revision: 1,
            created_date: now,
            modified_date: now,
            taken_over_date: None,
            created_by: new.created_by,
        };
        let next = self.next_firing(&checked.document, &record, now)?;
        let triggers = JobTriggers {
            next,
            after: Some(spec.after.clone()),
        };
        self.0
            .store
            .create_job(record.clone(), triggers)
            .await
            .map_err(|error| match error {
                CreateJobError::KeyTaken { key, job_id } => SaveJobError::KeyTaken { key, job_id },
                CreateJobError::Cycle { keys } => starts_after_itself(&checked.document, &keys),
                CreateJobError::Storage(error) => error.into(),
            })?;
        self.0.replanned.notify_one();
        Ok(StoredJob {
            record,
            statistics: Default::default(),
            next_scheduled_time: next.map(|next| next.nominal),
        })
    }

    /// Changes a stored job.
    ///
    /// # Errors
    /// When there is none, the result is not valid, its `id` is taken, somebody
    /// else changed it, or the storage fails.
    pub async fn change_job(
        &self,
        job: &JobRef,
        change: JobChange,
    ) -> Result<StoredJob, SaveJobError> {
        let not_found = || SaveJobError::NotFound(job.clone());
        let stored = self.0.store.job(job).await?.ok_or_else(not_found)?;
        let read = stored.record.revision;
        if change
            .expected_revision
            .is_some_and(|expected| expected != read)
        {
            return Err(SaveJobError::Changed { revision: read });
        }
        let mut record = stored.record;
        if let Some(yaml) = change.yaml {
            self.take_yaml(&mut record, yaml).await?;
        }
        record.name = change.name.unwrap_or(record.name);
        record.description = change.description.unwrap_or(record.description);
        record.enabled = change.enabled.unwrap_or(record.enabled);
        record.revision = read + 1;
        let now = self.0.clock.now();
        record.modified_date = now;
        // What is stored and can't be understood any more fires no more.
        let document = self.document(&record).ok();
        let next = match &document {
            Some(document) => self.next_firing(document, &record, now)?,
            None => None,
        };
        let triggers = JobTriggers {
            next,
            after: document.as_ref().map(|job| job.spec.after.clone()),
        };
        self.0
            .store
            .replace_job(record.clone(), read, triggers)
            .await
            .map_err(|error| match error {
                ReplaceJobError::NotFound { .. } => not_found(),
                ReplaceJobError::Changed { revision } => SaveJobError::Changed { revision },
                ReplaceJobError::KeyTaken { key, job_id } => SaveJobError::KeyTaken { key, job_id },
                ReplaceJobError::Cycle { keys } => match &document {
                    Some(document) => starts_after_itself(document, &keys),
                    None => SaveJobError::Invalid(Vec::new()),
                },
                ReplaceJobError::Storage(error) => error.into(),
            })?;
        self.0.prepared.forget(record.job_id);
        self.0.replanned.notify_one();
        if !record.enabled {
            let (id, why) = (record.job_id, "its job was disabled");
            dispatch::drop_waiting(&self.0, id, "job_disabled", why).await?;
        }
        Ok(StoredJob {
            record,
            statistics: stored.statistics,
            next_scheduled_time: next.map(|next| next.nominal),
        })
    }

    /// When a job fires next; none while it is disabled.
    pub(crate) fn next_firing(
        &self,
        document: &JobDocument,
        record: &JobRecord,
        now: DateTime<Utc>,
    ) -> Result<Option<PlannedFiring>, SaveJobError> {
        if !record.enabled {
            return Ok(None);
        }
        let plan = prepare::plan(document, record, &self.0.calendars);
        let plan = plan.map_err(SaveJobError::Invalid)?;
        Ok(plan
            .and_then(|plan| plan.next_after(now))
            .map(planner::planned))
    }

    /// Removes a job. Runs that go on end as they would; history stays.
    ///
    /// # Errors
    /// When there is none, or the storage fails.
    pub async fn delete_job(&self, job: &JobRef) -> Result<JobId, DeleteJobError> {
        let not_found = || DeleteJobError::NotFound(job.clone());
        let stored = self.0.store.job(job).await?.ok_or_else(not_found)?;
        let job_id = stored.record.job_id;
        let existed = self.0.store.delete_job(job_id).await?;
        self.0.prepared.forget(job_id);
        let why = "its job was deleted";
        dispatch::drop_waiting(&self.0, job_id, "job_deleted", why).await?;
        if existed {
            Ok(job_id)
        } else {
            Err(not_found())
        }
    }

    /// One stored job.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn job(&self, job: &JobRef) -> Result<Option<StoredJob>, StorageError> {
        self.0.store.job(job).await
    }

    /// A stored job as understood, without its plugin's own checks.
    ///
    /// # Errors
    /// What is wrong with it: what was valid once need not be so with the job
    /// types of today.
    pub fn document(&self, record: &JobRecord) -> Result<Arc<JobDocument>, Vec<Problem>> {
        self.0.read_stored(&record.yaml_configuration).map(Arc::new)
    }

    /// What is doubtful in a job that was stored just now, without its plugin's
    /// own doubts.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn doubts(&self, record: &JobRecord) -> Result<Vec<Problem>, StorageError> {
        let Ok(checked) = self.check(&record.yaml_configuration).await else {
            return Ok(Vec::new());
        };
        let document = checked.document;
        let mut doubts = checked.warnings;
        for (index, after) in document.spec.after.iter().enumerate() {
            let job = JobRef::Key(after.job.clone());
            if self.0.store.job(&job).await?.is_none() {
                doubts.push(nobody_to_follow(&document, index, &after.job));
            }
        }
        Ok(doubts)
    }

    /// Takes over new YAML: what it says anew counts, what it repeats does not
    /// undo a change made beside it.
    async fn take_yaml(&self, record: &mut JobRecord, yaml: String) -> Result<(), SaveJobError> {
        let checked = self.check(&yaml).await.map_err(SaveJobError::Invalid)?;
        let new = &checked.document.spec;
        let old = self.document(record).ok();
        let old = old.as_ref().map(|document| &document.spec);
        if old.is_none_or(|old| old.name != new.name) {
            record.name.clone_from(&new.name);
        }
        if old.is_none_or(|old| old.description != new.description) {
            record.description = new.description.clone().unwrap_or_default();
        }
        if old.is_none_or(|old| old.enabled != new.enabled) {
            record.enabled = new.enabled;
        }
        record.key.clone_from(&new.id);
        record.job_type.clone_from(&new.job_type);
        record.yaml_configuration = yaml;
        Ok(())
    }
}

/// The job type's own keys as the plugin gets them.
pub(crate) fn configuration_text(document: &JobDocument) -> String {
    serde_json::Value::Object(document.configuration.clone()).to_string()
}

/// Keys that are checked and stored, and that nothing heeds yet: who writes them
/// is to know.
fn without_effect(document: &JobDocument) -> Vec<Problem> {
    let spec = &document.spec;
    let written = [("/notifications", spec.notifications.is_some())];
    let written = written.into_iter().filter(|(_, there)| *there);
    written
        .map(|(pointer, _)| {
            let location = document.locate(pointer);
            Problem {
                severity: Severity::Warning,
                code: "no_effect",
                pointer: pointer.to_owned(),
                line: location.map(|at| at.line),
                column: location.map(|at| at.column),
                message: "this is checked and stored, and has no effect yet".to_owned(),
                hint: None,
            }
        })
        .collect()
}

/// Jobs may be stored in any order, so that one to follow may be missing yet.
fn nobody_to_follow(document: &JobDocument, index: usize, key: &str) -> Problem {
    let pointer = format!("/after/{index}/job");
    let location = document.locate(&pointer);
    Problem {
        severity: Severity::Warning,
        code: "unknown_job",
        pointer,
        line: location.map(|at| at.line),
        column: location.map(|at| at.column),
        message: format!("there is no job with the id `{key}` yet, so nothing starts this one"),
        hint: None,
    }
}

/// What is wrong with a job that other jobs lead back to.
fn starts_after_itself(document: &JobDocument, keys: &[String]) -> SaveJobError {
    let location = document.locate("/after");
    let mut way: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    if way.len() > MOST_NAMED {
        let left_out = format!("{} others", way.len() - MOST_NAMED);
        way.splice(MOST_NAMED / 2..way.len() - MOST_NAMED / 2, [left_out]);
    }
    SaveJobError::Invalid(vec![Problem {
        severity: Severity::Error,
        code: "dependency_cycle",
        pointer: "/after".to_owned(),
        line: location.map(|at| at.line),
        column: location.map(|at| at.column),
        message: format!(
            "the job would start after itself: {} start one after the other",
            way.join(", ")
        ),
        hint: Some("take one of them out of `after`".to_owned()),
    }])
}

fn locate(document: &JobDocument, problem: types::Problem) -> Problem {
    let location = match problem.position {
        Some((line, column)) => document.locate_within(&problem.pointer, line, column),
        None => document.locate(&problem.pointer),
    };
    Problem {
        severity: match problem.severity {
            types::Severity::Error => Severity::Error,
            types::Severity::Warning => Severity::Warning,
        },
        code: "job_type_rule",
        pointer: problem.pointer,
        line: location.map(|at| at.line),
        column: location.map(|at| at.column),
        message: problem.message,
        hint: problem.hint,
    }
}

fn plugin_failed(document: &JobDocument, message: &str) -> Problem {
    let location = document.locate("/type");
    Problem {
        severity: Severity::Error,
        code: "plugin_failed",
        pointer: "/type".to_owned(),
        line: location.map(|at| at.line),
        column: location.map(|at| at.column),
        message: format!("the plugin of this job type failed while it checked the job: {message}"),
        hint: None,
    }
}
