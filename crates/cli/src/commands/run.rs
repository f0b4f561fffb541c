//! `jobcell run FILE`: carries out one job now. Records nothing.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobcell_model::{Artifact, OutputStream, StepResult};
use jobcell_plugin_host::{RunEnd, RunFailure, RunObserver, RunReport};
use tokio_util::sync::CancellationToken;

use super::validate::{read, storeless_engine};
use crate::args::{Format, Run};
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::out::{self, complain, say};
use crate::parameter;
use crate::problems;
use crate::signals::Signals;

pub(super) fn run(options: Run, config: &Config) -> Result<Exit, Failure> {
    let parameters = options.parameters.iter().map(|text| parameter::read(text));
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    let name = options.file.display().to_string();
    let text = read(&options.file)
        .map_err(|reason| Failure::message(Exit::InvalidJob, format!("{name}: {reason}")))?;
    let data = DataFolder::choose(options.data.folder, config)?;
    data.create()?;
    data.let_users_pass(config)?;
    let sql = databases::configured(config, &data);
    let job_types = compose::job_types(config, &data, &sql)?;
    compose::runtime()?.block_on(async {
        databases::lend_stored(config, &data, &sql).await;
        let engine = storeless_engine(config, job_types).await?;
        let job = engine.check(&text).await.map_err(|found| {
            let colour = std::io::stderr().is_terminal();
            let shown = problems::render(&name, &text, &found, colour);
            Failure::message(
                Exit::InvalidJob,
                format!("{name} is not valid\n\n{shown}\n"),
            )
        })?;
        let spec = &job.document.spec;
        let parameters = parameter::typed(parameters, &spec.parameters)?;
        let cancel = CancellationToken::new();
        let signals = Signals::listen().map_err(signals_failed)?;
        let canceller = tokio::spawn(cancel_on_signal(signals, cancel.clone()));
        let observer: Option<Arc<dyn RunObserver>> = match options.format {
            Format::Text => Some(Arc::new(Live)),
            Format::Json => None,
        };
        let started = Instant::now();
        let report = engine
            .run_unrecorded(&job, &parameters, cancel, observer)
            .await;
        canceller.abort();
        keep(&report.artifacts, options.artifacts.as_deref())?;
        let seconds = started.elapsed().as_secs_f64();
        match options.format {
            Format::Text => print_end(&report, seconds, spec.timeout),
            Format::Json => print_json(&report, seconds, spec.timeout),
        }
        Ok(exit(&report.end))
    })
}

/// Writes the files that a run left, and never over one that is there.
fn keep(artifacts: &[Artifact], folder: Option<&Path>) -> Result<(), Failure> {
    for artifact in artifacts {
        let (name, size) = (&artifact.name, artifact.bytes.len());
        let Some(folder) = folder else {
            complain!(
                "jobcell: the artifact {name} ({size} bytes) is not kept; --artifacts names a folder for it"
            );
            continue;
        };
        let file = folder.join(name);
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::File::create_new(&file))
            .and_then(|mut open| open.write_all(&artifact.bytes));
        written.map_err(|error| {
            let doing = format!("the artifact can't be written to {}", file.display());
            Failure::context(Exit::Unavailable, error, doing)
        })?;
    }
    Ok(())
}

fn signals_failed(error: std::io::Error) -> Failure {
    Failure::context(Exit::Internal, error, "signals can't be listened for")
}

async fn cancel_on_signal(mut signals: Signals, cancel: CancellationToken) {
    signals.next().await;
    cancel.cancel();
}

/// Passes output on as it comes: each stream to its own, the log to stderr.
struct Live;

impl RunObserver for Live {
    fn output(&self, stream: OutputStream, bytes: &[u8]) {
        // A reader that went away must not end the run.
        match stream {
            OutputStream::Stdout => out::bytes(bytes),
            OutputStream::Stderr => drop(std::io::stderr().lock().write_all(bytes)),
            OutputStream::Log => complain!("{}", String::from_utf8_lossy(bytes)),
        }
    }

    fn step(&self, _step: &StepResult) {}
}

fn exit(end: &RunEnd) -> Exit {
    match end {
        RunEnd::Succeeded { .. } => Exit::Success,
        RunEnd::Failed { .. } => Exit::JobFailed,
        RunEnd::TimedOut => Exit::JobTimedOut,
        RunEnd::Cancelled => Exit::Cancelled,
    }
}

/// How a run ended: status, exit code, and why it did not succeed.
type Ended = (&'static str, Option<i32>, Option<RunFailure>);

fn ended(end: &RunEnd, timeout: Duration) -> Ended {
    let because = |code: &str, message: String| {
        let code = code.to_owned();
        Some(RunFailure { code, message })
    };
    match end {
        RunEnd::Succeeded { return_code } => ("success", *return_code, None),
        RunEnd::Failed {
            return_code,
            failure,
        } => ("failed", *return_code, Some(failure.clone())),
        RunEnd::TimedOut => {
            let timeout = humantime::format_duration(timeout);
            let message = format!("the job's `timeout` of {timeout} was over");
            ("timeout", None, because("timeout", message))
        }
        RunEnd::Cancelled => ("cancelled", None, None),
    }
}

fn print_end(report: &RunReport, seconds: f64, timeout: Duration) {
    let (status, _, failure) = ended(&report.end, timeout);
    match failure {
        Some(failure) => {
            complain!(
                "jobcell: {status} after {seconds:.3} s: {} [{}]",
                failure.message,
                failure.code
            );
        }
        None => complain!("jobcell: {status} after {seconds:.3} s"),
    }
}

fn print_json(report: &RunReport, seconds: f64, timeout: Duration) {
    let (status, return_code, failure) = ended(&report.end, timeout);
    let artifacts: Vec<_> = report.artifacts.iter().map(Artifact::info).collect();
    let answer = serde_json::json!({
        "success": status == "success",
        "status": status,
        "duration_seconds": seconds,
        "return_code": return_code,
        "error": failure.as_ref().map(|failure| &failure.message),
        "error_code": failure.as_ref().map(|failure| &failure.code),
        "output": report.output.text(),
        "artifacts": artifacts,
        "step_results": report.steps,
        "cpu_time_seconds": report.cost.cpu_time.as_secs_f64(),
    });
    say!("{answer:#}");
}
