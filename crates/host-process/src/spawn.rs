//! One child process: its streams, its end, its cost. Never decides which
//! program runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobcell_model::OutputStream;
use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{RunScope, codes, unavailable};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::identity::Identity;
use crate::meter::{self, Meter};
use crate::program::Program;
use crate::pump::{Drained, PIECE, channel, pump};
use crate::refusal::{check, refused};
use crate::system::{Containment, Group, Prepared, Seat, View};
use crate::usage::Usage;
use crate::watcher::Watchers;

/// How long more of a stream that goes to both is waited for, before a plugin is
/// given a piece of it: each costs it a call, and readers have it already.
const GATHERING: Duration = Duration::from_millis(100);
/// How long output is waited for after a process ended: only one that can't be
/// killed, or that somebody outside handed the pipe to, holds it open by then.
const LAST_OUTPUT: Duration = Duration::from_secs(2);
/// How much of it a plugin is given by then: all that pipes and channels hold.
const LAST_BYTES: usize = 4 << 20;
/// The least time in which the last bytes are moved, however long a plugin
/// has waited for them before.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// Where a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Into the run's output.
    Output,
    /// To the plugin.
    Pipe,
    /// To both.
    Tee,
    /// Nowhere.
    Discard,
}

/// A process to be.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The executable.
    pub program: Program,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it works.
    pub working_directory: PathBuf,
    /// What it finds on standard input.
    pub stdin: Vec<u8>,
    /// Where its standard output goes.
    pub stdout: Sink,
    /// Where its standard error goes.
    pub stderr: Sink,
    /// Who it is to be, where that is not who we are.
    pub(crate) identity: Option<Identity>,
}

impl Launch {
    /// A program without arguments, variables and input, whose output is the
    /// run's.
    #[must_use]
    pub fn new(program: Program, working_directory: PathBuf) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            working_directory,
            stdin: Vec::new(),
            stdout: Sink::Output,
            stderr: Sink::Output,
            identity: None,
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A process that was started, with its group. Dropping it kills the group.
pub struct Child {
    scope: RunScope,
    group: Group,
    meter: Arc<Meter>,
    /// Which one of the run's processes it is.
    number: usize,
    started: Instant,
    pump: Option<JoinHandle<Drained>>,
    /// Closed with this, and no sooner.
    _drained: Option<Drained>,
    /// Told by the pump.
    program_ended: watch::Receiver<bool>,
    stdout: Option<mpsc::Receiver<Vec<u8>>>,
    stderr: Option<mpsc::Receiver<Vec<u8>>>,
    /// What the plugin was not given yet, of each stream.
    left_over: [Vec<u8>; 2],
    /// Whether it goes to the run's output as well, of each stream.
    teed: [bool; 2],
    last_output: LastOutput,
    /// When the group was asked to end.
    asked: Option<Instant>,
    ended: Option<Exit>,
    usage: Usage,
}

/// What is left for output of a process that has ended. A descendant that left
/// its group may write for ever, so that both time and bytes have a bound.
struct LastOutput {
    noticed: bool,
    patience: Duration,
    bytes: usize,
}

impl LastOutput {
    /// The next piece. Only time in which it waits counts, so that a slow
    /// plugin loses nothing.
    async fn next(&mut self, receiver: &mut mpsc::Receiver<Vec<u8>>) -> Option<Vec<u8>> {
        let start = Instant::now();
        let piece = tokio::time::timeout(self.patience, receiver.recv()).await;
        self.patience = self.patience.saturating_sub(start.elapsed());
        self.allow(piece.ok().flatten()?, receiver)
    }

    /// A piece, if it is not one too many.
    fn allow(&mut self, piece: Vec<u8>, receiver: &mut mpsc::Receiver<Vec<u8>>) -> Option<Vec<u8>> {
        match self.bytes.checked_sub(piece.len()) {
            Some(rest) => {
                self.bytes = rest;
                Some(piece)
            }
            None => {
                receiver.close();
                None
            }
        }
    }
}

impl Child {
    /// Starts a process once the start of its run is durable.
    ///
    /// # Errors
    /// When the run was stopped, or the process can't be started.
    pub async fn start(launch: &Launch, place: &Place) -> Result<Self, Failure> {
        check(launch)?;
        let scope = &place.scope;
        scope.before_effect().await?;
        // Nobody would look at what starts after that.
        if let Some(cap) = place.meter.passed() {
            return Err(meter::failure(scope.limits(), cap));
        }
        // Before there is anything to look at: what fills the machine leaves no
        // room for a thread.
        place.ready_to_watch()?;
        let seat = Seat {
            execution: &place.execution,
            caps: place.meter.caps(),
            pipes: &place.pipes,
        };
        // Looked at before it runs: a fork bomb would leave us no turn to see to that.
        let mut watched = Watching {
            meter: &place.meter,
            number: None,
        };
        let watch = |view| watched.number = Some(place.watch(view));
        let started = place.containment.start(launch, &seat, watch);
        let (mut group, pipes) = started.map_err(|error| refused(launch, &error))?;
        // From here on forgotten before the group is gone, should that be.
        let watched = watched;
        let_go(&mut group, launch, scope).await?;
        let number = watched.goes_on();
        let (to_stdout, stdout) = channel(launch.stdout);
        let (to_stderr, stderr) = channel(launch.stderr);
        let (tell, program_ended) = watch::channel(false);
        let end = group.program_end();
        let to = [to_stdout, to_stderr];
        let pump = pump(pipes, launch, scope.clone(), to, end, tell);
        Ok(Self {
            scope: scope.clone(),
            group,
            meter: Arc::clone(&place.meter),
            number,
            started: Instant::now(),
            pump: Some(tokio::spawn(pump)),
            _drained: None,
            program_ended,
            stdout,
            stderr,
            left_over: [Vec::new(), Vec::new()],
            teed: [launch.stdout, launch.stderr].map(|sink| sink == Sink::Tee),
            last_output: LastOutput {
                noticed: false,
                patience: LAST_OUTPUT,
                bytes: LAST_BYTES,
            },
            asked: None,
            ended: None,
            usage: Usage::default(),
        })
    }

    /// The next bytes of a piped stream, at most so many; none at its end.
    ///
    /// # Errors
    /// When the run is stopped.
    pub async fn read(
        &mut self,
        stream: OutputStream,
        most: usize,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let place = usize::from(stream != OutputStream::Stdout);
        if self.left_over[place].is_empty() {
            match self.next_piece(stream).await? {
                Some(next) => self.left_over[place] = next,
                None => return Ok(None),
            }
        }
        self.gather(stream, most.min(PIECE)).await?;
        let mut piece = std::mem::take(&mut self.left_over[place]);
        self.left_over[place] = piece.split_off(piece.len().min(most.max(1)));
        Ok(Some(piece))
    }

    /// Joins what is ready of a stream, up to so many bytes. It stays here until
    /// all of it can be given, so that a read that is dropped loses nothing.
    async fn gather(&mut self, stream: OutputStream, enough: usize) -> Result<(), Failure> {
        let place = usize::from(stream != OutputStream::Stdout);
        let until = Instant::now() + GATHERING;
        while self.left_over[place].len() < enough {
            let next = match self.ready_piece(stream) {
                None if self.teed[place] && !self.last_output.noticed => {
                    let left = until.saturating_duration_since(Instant::now());
                    let next = tokio::time::timeout(left, self.next_piece(stream)).await;
                    next.unwrap_or(Ok(None))?
                }
                ready => ready,
            };
            let Some(next) = next else { break };
            self.left_over[place].extend(next);
        }
        Ok(())
    }

    fn ready_piece(&mut self, stream: OutputStream) -> Option<Vec<u8>> {
        let receiver = match stream {
            OutputStream::Stdout => self.stdout.as_mut()?,
            OutputStream::Stderr | OutputStream::Log => self.stderr.as_mut()?,
        };
        let piece = receiver.try_recv().ok()?;
        if self.last_output.noticed {
            return self.last_output.allow(piece, receiver);
        }
        Some(piece)
    }

    async fn next_piece(&mut self, stream: OutputStream) -> Result<Option<Vec<u8>>, Failure> {
        let receiver = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr | OutputStream::Log => &mut self.stderr,
        };
        let Some(receiver) = receiver else {
            return Ok(None);
        };
        if !self.last_output.noticed {
            tokio::select! {
                biased;
                () = ended(&self.program_ended, &self.group) => {
                    // What is left of the group would keep the pipe open.
                    self.group.kill_rest();
                    self.last_output.noticed = true;
                }
                // Before the pieces: a child that never stops writing must not
                // hide the stop.
                reason = self.scope.stopped() => {
                    self.kill().await;
                    return Err(reason.into());
                }
                piece = receiver.recv() => return Ok(piece),
            }
        }
        Ok(self.last_output.next(receiver).await)
    }

    /// Waits until it has ended and its output was taken.
    ///
    /// # Errors
    /// When the run is stopped or its processes used more than they may; they
    /// are gone by then.
    pub async fn wait(&mut self) -> Result<Exit, Failure> {
        if let Some(exit) = self.ended {
            self.finish_output().await;
            return self.within_bounds(exit);
        }
        // Nobody reads any more, and nobody may hold up the child.
        self.stdout = None;
        self.stderr = None;
        tokio::select! {
            biased;
            () = ended(&self.program_ended, &self.group) => {
                let exit = self.conclude().await;
                self.within_bounds(exit)
            }
            reason = self.scope.stopped() => {
                self.kill().await;
                Err(reason.into())
            }
        }
    }

    /// Asks the group to end, and kills it when it has not in time.
    pub async fn kill(&mut self) {
        if self.ended.is_some() {
            return self.finish_output().await;
        }
        self.stdout = None;
        self.stderr = None;
        // Whoever comes second, because the first was dropped while it waited,
        // goes on with the same grace period.
        let asked = *self.asked.get_or_insert_with(|| {
            self.group.terminate();
            Instant::now()
        });
        let grace = self.scope.limits().stop_grace;
        let left = grace.saturating_sub(asked.elapsed());
        if tokio::time::timeout(left, self.group.emptied())
            .await
            .is_err()
        {
            self.group.kill();
        }
        self.conclude().await;
    }

    fn within_bounds(&self, exit: Exit) -> Result<Exit, Failure> {
        match self.meter.passed() {
            Some(cap) => Err(meter::failure(self.scope.limits(), cap)),
            None => Ok(exit),
        }
    }

    /// What it has cost.
    pub(crate) fn usage(&self) -> Usage {
        match self.ended {
            Some(_) => self.usage,
            None => Usage {
                wall_time: self.started.elapsed(),
                ..self.usage
            },
        }
    }

    /// Takes the end of the process that has ended: its group goes with it.
    async fn conclude(&mut self) -> Exit {
        let wall_time = self.started.elapsed();
        let end = self.group.reap().await;
        let usage = Usage {
            wall_time,
            ..end.usage
        };
        self.usage = self.meter.ended(self.number, usage, end.refused);
        self.ended = Some(end.exit);
        if let Some(left) = end.left {
            self.note(&format!("still there after it was killed: {left}"));
            self.meter.could_not_end(left);
        }
        self.finish_output().await;
        end.exit
    }

    /// Waits for the last output. Whoever comes second, because the first was
    /// dropped while it waited, goes on with it.
    async fn finish_output(&mut self) {
        let Some(pump) = &mut self.pump else { return };
        let patience = self.last_output.patience.max(LAST_MOMENT);
        let drained = tokio::time::timeout(patience, &mut *pump).await;
        let in_time = drained.is_ok();
        if !in_time {
            pump.abort();
        }
        self.pump = None;
        self._drained = drained.ok().and_then(Result::ok);
        if !in_time {
            self.note("a process that is not the run's holds its output open; what it writes from now on is lost");
        }
    }

    fn note(&self, line: &str) {
        self.scope
            .output()
            .write(OutputStream::Log, format!("warn: {line}").as_bytes());
    }
}

/// A process that is looked at, until it is known that it did not start.
struct Watching<'a> {
    meter: &'a Meter,
    number: Option<usize>,
}

impl Watching<'_> {
    /// It runs.
    fn goes_on(mut self) -> usize {
        self.number.take().unwrap_or(usize::MAX)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.meter.forget(number);
        }
    }
}

/// Lets what was held before its first instruction run. Whoever comes after a crash
/// must find it, so it is written down before.
async fn let_go(group: &mut Group, launch: &Launch, scope: &RunScope) -> Result<(), Failure> {
    if let Some(trace) = group.held() {
        scope.record(trace).await?;
        let released = group.release().await;
        released.map_err(|error| refused(launch, &error))?;
    }
    Ok(())
}

/// Waits until the program has ended. It is not reaped yet.
async fn ended(told: &watch::Receiver<bool>, group: &Group) {
    // A pump that was ended early tells nothing.
    if told.clone().wait_for(|ended| *ended).await.is_err() {
        group.program_end().await;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.meter.forget(self.number);
        if let Some(pump) = self.pump.take() {
            pump.abort();
        }
    }
}

/// Where the processes of one run are started.
pub struct Place {
    pub(crate) scope: RunScope,
    pub(crate) containment: Arc<Containment>,
    pub(crate) meter: Arc<Meter>,
    watchers: Arc<Watchers>,
    pipes: Arc<Prepared>,
    /// Whether processor time of those that ended is bounded, and to be looked
    /// for by somebody who may wait.
    looks_at_ended: bool,
    execution: String,
}

impl Place {
    pub(crate) fn new(
        scope: &RunScope,
        containment: &Arc<Containment>,
        watchers: &Arc<Watchers>,
        pipes: &Arc<Prepared>,
    ) -> Self {
        let caps = meter::caps(scope.limits());
        let execution = scope.attribute("execution-id").map(str::to_owned);
        Self {
            scope: scope.clone(),
            containment: Arc::clone(containment),
            meter: Arc::new(Meter::new(caps)),
            watchers: Arc::clone(watchers),
            pipes: Arc::clone(pipes),
            looks_at_ended: caps.cpu_time.is_some() && containment.misses_ended(),
            execution: execution.unwrap_or_else(|| "unnamed".to_owned()),
        }
    }

    /// Makes ready what the next process needs, of this run or another one.
    pub(crate) fn prepare_next(&self) {
        self.containment.prepare_next();
        self.pipes.refill();
    }

    /// Has somebody there who looks at processes.
    fn ready_to_watch(&self) -> Result<(), Failure> {
        self.watchers.start(self.looks_at_ended).map_err(|error| {
            let message = format!("the thread that looks at processes can't be started: {error}");
            unavailable(codes::SPAWN_FAILED, message)
        })
    }

    /// Has a process looked at, and says which one of the run's it is.
    fn watch(&self, view: View) -> usize {
        let number = self.meter.add(view);
        let also_ended = self.looks_at_ended;
        self.watchers.watch(&self.meter, number, also_ended);
        number
    }
}
