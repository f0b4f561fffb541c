//! What the parts of one run share: who it is, whether it was stopped, whether
//! its start is durable, and where its output goes. Never ends anything itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jobcell_model::{OutputStream, StepResult};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bindings::types::Failure;
use crate::failure::{codes, other};
use crate::limits::RunLimits;
use crate::output::OutputBuffer;

/// Why a run is to end before its work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody cancelled it.
    Cancelled,
    /// Its time is over.
    TimedOut,
}

impl From<StopReason> for Failure {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Cancelled => Self::Cancelled,
            StopReason::TimedOut => Self::TimedOut,
        }
    }
}

/// Sees a run as it goes on. Called on the run's own task: must be quick.
pub trait RunObserver: Send + Sync {
    /// It begins, and writes here. To be held weakly: the buffer holds its
    /// observer.
    fn starts(&self, _output: &Arc<OutputBuffer>) {}
    /// Output or a log line was written.
    fn output(&self, stream: OutputStream, bytes: &[u8]);
    /// A step ended.
    fn step(&self, step: &StepResult);
}

/// Writes down, durably, where what a run starts can be found after a crash.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Adds a trace to the run's record. Whether that is durable now.
    async fn add(&self, trace: String) -> bool;
}

/// Holds back the first effect of a run until its start is durable.
#[derive(Debug, Clone)]
pub struct EffectGate(watch::Receiver<Option<bool>>);

/// Opens an [`EffectGate`]. Dropped unopened, it says that the start was lost.
#[derive(Debug)]
pub struct GateOpener(watch::Sender<Option<bool>>);

impl EffectGate {
    /// A closed gate and what opens it.
    #[must_use]
    pub fn closed() -> (GateOpener, Self) {
        let (sender, receiver) = watch::channel(None);
        (GateOpener(sender), Self(receiver))
    }

    /// A gate that is open, for runs that nobody records.
    #[must_use]
    pub fn open() -> Self {
        let (sender, receiver) = watch::channel(Some(true));
        drop(sender);
        Self(receiver)
    }

    async fn passed(&self) -> bool {
        if let Some(durable) = *self.0.borrow() {
            return durable;
        }
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await {
            Ok(value) => *value == Some(true),
            Err(_) => false,
        }
    }
}

impl GateOpener {
    /// Says whether the start is durable.
    pub fn settle(self, durable: bool) {
        self.0.send_replace(Some(durable));
    }
}

struct Shared {
    attributes: Vec<(String, String)>,
    environment: BTreeMap<String, String>,
    limits: RunLimits,
    deadline: Instant,
    gate: EffectGate,
    journal: Option<Arc<dyn Journal>>,
    stop: CancellationToken,
    reason: OnceLock<StopReason>,
    noticed: AtomicBool,
    output: Arc<OutputBuffer>,
}

/// A cheap handle to what one run's parts share.
#[derive(Clone)]
pub struct RunScope(Arc<Shared>);

impl RunScope {
    /// The scope of a run that starts now.
    #[must_use]
    pub fn new(
        attributes: Vec<(String, String)>,
        limits: RunLimits,
        timeout: Duration,
        gate: EffectGate,
        observer: Option<Arc<dyn RunObserver>>,
    ) -> Self {
        let now = Instant::now();
        Self(Arc::new(Shared {
            attributes,
            environment: BTreeMap::new(),
            // A timeout that no clock can hold is as good as a century.
            deadline: now
                .checked_add(timeout)
                .unwrap_or(now + Duration::from_secs(3_155_760_000)),
            gate,
            journal: None,
            stop: CancellationToken::new(),
            reason: OnceLock::new(),
            noticed: AtomicBool::new(false),
            output: OutputBuffer::shared(&limits, now, observer),
            limits,
        }))
    }

    /// The same run with variables that its job gives to processes.
    #[must_use]
    pub fn with_environment(mut self, environment: BTreeMap<String, String>) -> Self {
        // Nobody else holds a scope that was made a moment ago.
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.environment = environment;
        }
        self
    }

    /// The same run with somebody who writes down what it starts.
    #[must_use]
    pub fn with_journal(mut self, journal: Option<Arc<dyn Journal>>) -> Self {
        // As above.
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.journal = journal;
        }
        self
    }

    /// Variables that the job gives to its processes.
    #[must_use]
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.0.environment
    }

    /// Facts about the run, as `run-context.attributes` gives them.
    #[must_use]
    pub fn attributes(&self) -> &[(String, String)] {
        &self.0.attributes
    }

    /// The fact of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.0
            .attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// What the run may use.
    #[must_use]
    pub fn limits(&self) -> &RunLimits {
        &self.0.limits
    }

    /// When its time is over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Where its output goes.
    #[must_use]
    pub fn output(&self) -> &OutputBuffer {
        &self.0.output
    }

    /// Stops the run: host functions that wait fail from now on. The first
    /// reason stays.
    pub fn stop(&self, reason: StopReason) {
        // The first one wins; a second reason changes nothing.
        if self.0.reason.set(reason).is_ok() {
            self.0.stop.cancel();
        }
    }

    /// Why it was stopped, if it was. Whoever is told has noticed the stop.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        let reason = self.stop_given();
        if reason.is_some() {
            self.0.noticed.store(true, Ordering::Release);
        }
        reason
    }

    /// Waits until it is stopped. Whoever is told has noticed the stop.
    pub async fn stopped(&self) -> StopReason {
        self.0.stop.cancelled().await;
        self.stop_reason().unwrap_or(StopReason::Cancelled)
    }

    /// Why it was stopped, for the host's own rules: does not count as noticed.
    pub(crate) fn stop_given(&self) -> Option<StopReason> {
        self.0.reason.get().copied()
    }

    /// Whether a stop cut something short or was told to the plugin. One that
    /// came too late for that has changed nothing about the run.
    pub(crate) fn stop_noticed(&self) -> bool {
        self.0.noticed.load(Ordering::Acquire)
    }

    /// To be awaited before anything that changes the world: passes once the
    /// start of the run is durable, fails when it never will be or when the
    /// run was stopped.
    ///
    /// # Errors
    /// `cancelled`, `timed-out`, or `other` with `start_not_recorded`.
    pub async fn before_effect(&self) -> Result<(), Failure> {
        let durable = tokio::select! {
            biased;
            reason = self.stopped() => return Err(reason.into()),
            durable = self.0.gate.passed() => durable,
        };
        if durable {
            return Ok(());
        }
        Err(other(
            codes::START_NOT_RECORDED,
            "the start of the run could not be recorded",
            [],
        ))
    }

    /// Writes down where something of this run can be found after a crash; to
    /// be awaited before that acts. A run that nobody records passes at once.
    ///
    /// # Errors
    /// `other` with `start_not_recorded`.
    pub async fn record(&self, trace: String) -> Result<(), Failure> {
        match &self.0.journal {
            Some(journal) if !journal.add(trace).await => Err(other(
                codes::START_NOT_RECORDED,
                "what the run was to start could not be recorded",
                [],
            )),
            _ => Ok(()),
        }
    }
}
