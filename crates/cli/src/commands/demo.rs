//! `jobcell demo`: runs the sample jobs in a temporary store and shows what
//! they do. Leaves nothing behind.

use std::sync::Arc;

use jobcell_engine::{Engine, NewJob, RunOutcome, StartRequest};
use jobcell_model::{JobRef, RunState, Trigger};

use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::out::say;
use crate::samples::{self, Sample};

/// The error code that says that a tool is not on this machine.
const TOOL_NOT_FOUND: &str = jobcell_plugin_host::codes::TOOL_NOT_FOUND;

/// How one sample fared.
enum Shown {
    Succeeded,
    ToolMissing,
    LeftOut,
    Failed,
}

pub(super) fn run(config: &Config) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("jobcell-demo-")
        .tempdir()
        .map_err(|error| {
            Failure::context(Exit::Unavailable, error, "a temporary folder can't be made")
        })?;
    let data = DataFolder::at(folder.path().join("data"));
    data.create()?;
    let store = compose::open_store(&data)?;
    data.let_users_pass(config)?;
    // The samples write; they must not meet a database that somebody uses.
    let config = &Config {
        connections: Default::default(),
        ..config.clone()
    };
    let job_types = compose::job_types(config, &data, &databases::configured(config, &data))?;
    let exit = compose::runtime()?.block_on(async {
        let engine = compose::engine(config, job_types, Arc::clone(&store)).await?;
        introduce(&engine);
        let mut shown = Vec::new();
        for sample in samples::ALL {
            shown.push((sample, show(&engine, sample).await?));
        }
        store.close().await;
        Ok(conclude(&shown))
    })?;
    folder.close().map_err(|error| {
        Failure::context(
            Exit::Unavailable,
            error,
            "the temporary folder can't be removed",
        )
    })?;
    Ok(exit)
}

fn introduce(engine: &Engine) {
    say!(
        "Jobcell {} runs its sample jobs, each through the WebAssembly",
        env!("CARGO_PKG_VERSION")
    );
    say!("plugin of its type, recorded in a temporary store.\n");
    say!("Job types:");
    for plugin in engine.job_types().iter() {
        say!(
            "  {:<12} {}",
            plugin.description().name,
            plugin.description().summary
        );
    }
}

async fn show(engine: &Engine, sample: &Sample) -> Result<Shown, Failure> {
    let new = NewJob {
        yaml: sample.yaml.to_owned(),
        created_by: "demo".to_owned(),
        ..NewJob::default()
    };
    let broken = |error: anyhow::Error| {
        Failure::context(Exit::Internal, error, format!("the sample {}", sample.file))
    };
    let job = engine
        .create_job(new)
        .await
        .map_err(|error| broken(error.into()))?
        .record;
    say!("\n{}", "─".repeat(78));
    say!("{}  ({}, samples/{})", job.name, job.job_type, sample.file);
    if !job.description.is_empty() {
        say!("{}", job.description);
    }
    say!();
    if let Some(needs) = sample.needs {
        say!("  Stored and checked, but not run here: {needs}");
        return Ok(Shown::LeftOut);
    }
    let request = StartRequest {
        trigger: Trigger::Manual,
        executed_by: "demo".to_owned(),
    };
    let job = JobRef::Id(job.job_id);
    let run = engine
        .start_run(&job, request)
        .await
        .map_err(|error| broken(error.into()))?;
    let outcome = run.finished().await.map_err(|error| broken(error.into()))?;
    print_output(&outcome);
    Ok(verdict(&outcome))
}

fn print_output(outcome: &RunOutcome) {
    for line in outcome.output.text().lines() {
        say!("  {line}");
    }
    let execution = &outcome.execution;
    let seconds = execution.duration_seconds.unwrap_or_default();
    match &execution.error_message {
        Some(message) => say!(
            "\n  → {} after {seconds:.3} s: {message}",
            execution.status.as_str()
        ),
        None => say!(
            "  → {} in {:.1} ms, {} steps",
            execution.status.as_str(),
            seconds * 1000.0,
            execution.step_results.len()
        ),
    }
}

fn verdict(outcome: &RunOutcome) -> Shown {
    let execution = &outcome.execution;
    if execution.status == RunState::Success {
        Shown::Succeeded
    } else if execution.error_code.as_deref() == Some(TOOL_NOT_FOUND) {
        Shown::ToolMissing
    } else {
        Shown::Failed
    }
}

fn conclude(shown: &[(&Sample, Shown)]) -> Exit {
    say!("\n{}", "─".repeat(78));
    let mut exit = Exit::Success;
    for (sample, result) in shown {
        let word = match result {
            Shown::Succeeded => "ran",
            Shown::ToolMissing => "its tool is not installed on this machine",
            Shown::LeftOut => "not run here (see above)",
            Shown::Failed => {
                exit = Exit::JobFailed;
                "FAILED"
            }
        };
        say!("  {:<36} {word}", sample.file);
    }
    say!("\nNext: `jobcell serve` keeps jobs and their history, and answers on");
    say!("http://127.0.0.1:5000; `jobcell run FILE` runs one job file; `jobcell --help`.");
    exit
}
