//! Makes a stored job ready to run and to be planned, and keeps it so. Never
//! trusts what it kept: whoever uses it has the store check the revision.

use std::sync::Arc;

use jobcell_model::plan::{Calendars, Plan};
use jobcell_model::{Context, JobDocument, JobRecord, JobRef, Problem, Severity};

use crate::Shared;
use crate::cache::PreparedJob;
use crate::error::StartError;
use crate::jobs::configuration_text;

/// A job as the store has it now.
pub(crate) async fn prepare(shared: &Shared, job: &JobRef) -> Result<Arc<PreparedJob>, StartError> {
    let stored = shared.store.job(job).await?;
    let record = stored
        .ok_or_else(|| StartError::NotFound(job.clone()))?
        .record;
    if let Some(prepared) = shared.prepared.get(record.job_id, record.revision) {
        return Ok(prepared);
    }
    let invalid = |problems| StartError::Invalid {
        key: record.key.clone(),
        problems,
    };
    let types = &shared.job_types;
    let document = shared.read_stored(&record.yaml_configuration);
    let document = document.map_err(invalid)?;
    let Some(plugin) = types.get(&document.spec.job_type).cloned() else {
        return Err(StartError::Invalid {
            key: record.key,
            problems: Vec::new(),
        });
    };
    let configuration = configuration_text(&document);
    let plan = plan(&document, &record, &shared.calendars).map_err(invalid)?;
    let prepared = Arc::new(PreparedJob {
        record: JobRecord {
            // Nothing reads it again, and it may be long.
            yaml_configuration: String::new(),
            ..record
        },
        spec: document.spec,
        configuration,
        plan,
        plugin,
    });
    shared.prepared.keep(Arc::clone(&prepared));
    Ok(prepared)
}

impl Shared {
    /// Reads a job that is to be stored or run now.
    pub(crate) fn read(&self, yaml: &str) -> Result<JobDocument, Vec<Problem>> {
        self.read_in(yaml, false)
    }

    /// Reads a job that was checked when it was stored.
    pub(crate) fn read_stored(&self, yaml: &str) -> Result<JobDocument, Vec<Problem>> {
        self.read_in(yaml, true)
    }

    fn read_in(&self, yaml: &str, stored: bool) -> Result<JobDocument, Vec<Problem>> {
        let context = Context {
            calendars: Some(&self.calendars),
            now: Some(self.clock.now()),
            stored,
        };
        jobcell_model::parse_job_in(yaml, self.job_types.schemas(), &context)
    }
}

/// The plan of a job's schedules; none without any.
///
/// # Errors
/// When the schedule can't be planned.
pub(crate) fn plan(
    document: &JobDocument,
    record: &JobRecord,
    calendars: &Calendars,
) -> Result<Option<Plan>, Vec<Problem>> {
    let schedules = &document.spec.schedules;
    if schedules.is_empty() {
        return Ok(None);
    }
    let seed = record.job_id.as_bytes();
    let plan = Plan::new(schedules, seed, record.created_date, calendars);
    plan.map(Some).map_err(|error| {
        let location = document.locate("/schedule");
        vec![Problem {
            severity: Severity::Error,
            code: "bad_schedule",
            pointer: "/schedule".to_owned(),
            line: location.map(|at| at.line),
            column: location.map(|at| at.column),
            message: error.to_string(),
            hint: None,
        }]
    })
}
