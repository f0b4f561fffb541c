//! The `run-context` interface: who the run is, its parameters, its log, its
//! output, its steps. Every plugin has it. Never acts on the outside.

use jobcell_model::{OutputStream, StepStatus};
use wasmtime::component::{HasData, Linker, Resource};

use crate::artifacts::ArtifactError;
use crate::bindings::run_context::{
    self, Artifact, Host, HostArtifact, HostStep, Level, Parameter, Step,
};
use crate::bindings::types::{self, Attribute, Failure};
use crate::capability::RunState;
use crate::failure::{codes, invalid, limit};
use crate::steps::StepError;
use crate::text;

struct HasRunContext;

impl HasData for HasRunContext {
    type Data<'a> = &'a mut RunState;
}

/// Adds the interface to a linker.
pub(crate) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    types::add_to_linker::<RunState, HasRunContext>(linker, RunState::count_host_call)?;
    run_context::add_to_linker::<RunState, HasRunContext>(linker, RunState::count_host_call)
}

impl types::Host for RunState {}

impl Host for RunState {
    fn attributes(&mut self) -> wasmtime::Result<Vec<Attribute>> {
        let attributes = self.scope.attributes().iter();
        let attribute = |(name, value): &(String, String)| Attribute {
            name: name.clone(),
            value: value.clone(),
        };
        Ok(attributes.map(attribute).collect())
    }

    fn parameters(&mut self) -> wasmtime::Result<Vec<Parameter>> {
        let parameters = self.parameters.iter();
        let parameter = |(name, value): &(String, serde_json::Value)| Parameter {
            name: name.clone(),
            value: value.to_string(),
        };
        Ok(parameters.map(parameter).collect())
    }

    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let message = text::log_line(&message, self.scope.limits().log_line);
        let line = format!("{}: {message}", word(level));
        self.scope
            .output()
            .write(OutputStream::Log, line.as_bytes());
        Ok(())
    }

    fn write(&mut self, stream: types::OutputStream, bytes: Vec<u8>) -> wasmtime::Result<()> {
        let stream = match stream {
            types::OutputStream::Stdout => OutputStream::Stdout,
            types::OutputStream::Stderr => OutputStream::Stderr,
        };
        self.scope.output().write(stream, &bytes);
        Ok(())
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.scope.stop_reason().is_some())
    }

    fn remaining_time(&mut self) -> wasmtime::Result<u64> {
        let left = self
            .scope
            .deadline()
            .saturating_duration_since(std::time::Instant::now());
        Ok(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }
}

impl HostStep for RunState {
    fn start(
        &mut self,
        name: String,
        kind: String,
    ) -> wasmtime::Result<Result<Resource<Step>, Failure>> {
        // The wall-clock time of a step is shown to people only; durations are
        // taken from the monotonic clock.
        let started = self.steps.start(&name, &kind, chrono::Utc::now());
        Ok(started
            .map(Resource::new_own)
            .map_err(|error| self.step_failure(error)))
    }

    fn finish(
        &mut self,
        step: Resource<Step>,
        status: run_context::StepStatus,
        details: String,
    ) -> wasmtime::Result<Result<(), Failure>> {
        let status = match status {
            run_context::StepStatus::Success => StepStatus::Success,
            run_context::StepStatus::Failed => StepStatus::Failed,
            run_context::StepStatus::Skipped => StepStatus::Skipped,
        };
        let Self { steps, scope, .. } = self;
        match steps.finish(step.rep(), status, &details) {
            Ok(result) => {
                scope.output().step(result);
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(self.step_failure(error))),
        }
    }

    fn drop(&mut self, step: Resource<Step>) -> wasmtime::Result<()> {
        let Self { steps, scope, .. } = self;
        if let Some(result) = steps.abandon(step.rep()) {
            scope.output().step(result);
        }
        Ok(())
    }
}

impl HostArtifact for RunState {
    fn create(
        &mut self,
        name: String,
        media_type: String,
    ) -> wasmtime::Result<Result<Resource<Artifact>, Failure>> {
        let created = self.artifacts.create(&name, &media_type);
        Ok(created.map(Resource::new_own).map_err(artifact_failure))
    }

    fn write(
        &mut self,
        artifact: Resource<Artifact>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Failure>> {
        let written = self.artifacts.write(artifact.rep(), &bytes);
        Ok(written.map_err(artifact_failure))
    }

    fn finish(&mut self, artifact: Resource<Artifact>) -> wasmtime::Result<Result<(), Failure>> {
        let finished = self.artifacts.finish(artifact.rep());
        Ok(finished.map_err(artifact_failure))
    }

    fn drop(&mut self, _: Resource<Artifact>) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn artifact_failure(error: ArtifactError) -> Failure {
    match error {
        ArtifactError::TooMany(most) => limit(
            "artifacts",
            format!("{most} artifacts"),
            "limits.artifactBytes",
        ),
        ArtifactError::TooLarge(most) => limit(
            "artifact_bytes",
            format!("{most} bytes"),
            "limits.artifactBytes",
        ),
        ArtifactError::Wrong(reason) => invalid("artifact", reason),
        ArtifactError::Ended => invalid(codes::MISUSE, "the artifact was finished already"),
    }
}

impl RunState {
    fn step_failure(&self, error: StepError) -> Failure {
        match error {
            StepError::TooMany => limit(
                "steps",
                format!("{} steps", self.scope.limits().steps),
                "limits.steps",
            ),
            StepError::DetailsInSum(most) => limit(
                "step_details_in_sum",
                format!("{most} bytes"),
                "limits.stepDetails",
            ),
            StepError::Details(reason) => invalid(codes::MISUSE, reason),
            StepError::Ended => invalid(codes::MISUSE, "the step was finished already"),
        }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
