//! The sample jobs beside V1's, as the original's options 2 and 3. Never
//! replaces a job.

use chrono::Utc;
use jobcell_engine::{Engine, ForeignText};
use jobcell_migrate::{Outcome, Taken};
use jobcell_model::JobId;

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
        let checked = engine.check_foreign(text(sample.yaml)).await;
        ready.jobs.push(checked.map_err(|_| invalid(sample))?);
    }
    Ok(())
}

fn text(yaml: &str) -> ForeignText {
    let now = Utc::now();
    ForeignText {
        job_id: JobId::generate(),
        yaml: yaml.to_owned(),
        created: now,
        modified: now,
        created_by: CREATOR.to_owned(),
    }
}

fn invalid(sample: &crate::samples::Sample) -> Failure {
    let message = format!("the sample {} is not valid", sample.file);
    Failure::message(Exit::Internal, message)
}
