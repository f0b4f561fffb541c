//! The sample jobs beside V1's, as the original's options 2 and 3. Never
//! replaces a job.

use chrono::Utc;
use jobcell_engine::Engine;
use jobcell_migrate::{Outcome, Taken};
use jobcell_model::{JobId, JobRecord, JobSpec};

use super::report::{Report, Sample, State};
use super::writing::Ready;
use crate::exit::{Exit, Failure};
use crate::samples::ALL;

/// Who creates them.
const CREATOR: &str = "system";

/// Makes those ready that are not there yet.
pub(crate) async fn add(
    engine: &Engine,
    taken: &Taken,
    ready: &mut Ready,
    report: &mut Report,
) -> Result<(), Failure> {
    for sample in ALL {
        let checked = engine.check(sample.yaml).await;
        let checked = checked.map_err(|_| invalid(sample))?;
        let spec = &checked.document.spec;
        let shown = |state| Sample {
            id: spec.id.clone(),
            name: spec.name.clone(),
            state,
        };
        if taken.keys.contains_key(&spec.id) {
            report.samples.push(shown(State::Present));
            continue;
        }
        let of_v1 = ready.outcomes.iter().any(|outcome| match outcome {
            Outcome::Migrated(job) => job.key == spec.id,
            Outcome::Broken(_) => false,
        });
        if of_v1 {
            let id = &spec.id;
            let remark = format!("a job of V1 has the id `{id}`; the sample is left out");
            report.remarks.push(remark);
            continue;
        }
        report.samples.push(shown(State::Added));
        let checked = engine.check_foreign(record(spec, sample.yaml)).await;
        ready.jobs.push(checked.map_err(|_| invalid(sample))?);
    }
    Ok(())
}

fn record(spec: &JobSpec, yaml: &str) -> JobRecord {
    let now = Utc::now();
    JobRecord {
        job_id: JobId::generate(),
        key: spec.id.clone(),
        name: spec.name.clone(),
        description: spec.description.clone().unwrap_or_default(),
        job_type: spec.job_type.clone(),
        enabled: spec.enabled,
        yaml_configuration: yaml.to_owned(),
        revision: 1,
        created_date: now,
        modified_date: now,
        taken_over_date: None,
        created_by: CREATOR.to_owned(),
    }
}

fn invalid(sample: &crate::samples::Sample) -> Failure {
    let message = format!("the sample {} is not valid", sample.file);
    Failure::message(Exit::Internal, message)
}
