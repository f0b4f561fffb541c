//! The streams between us and a program. Never reads what goes through them
//! before it is asked to.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::runtime::{Handle, Id};

use crate::spawn::{Launch, Sink};

/// The streams of a child, on our side.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<pipe::Sender>,
    pub(crate) stdout: Option<Output>,
    pub(crate) stderr: Option<Output>,
    pub(crate) program: Program,
}

/// Whether the program has ended, for its streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program(Arc<AtomicBool>);

impl Program {
    /// Whoever polls the streams polls them again after this.
    pub(crate) fn has_ended(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The streams on the child's side.
pub(super) struct Ends([Arc<OwnedFd>; 3]);

impl Ends {
    pub(super) fn numbers(&self) -> [RawFd; 3] {
        [&self.0[0], &self.0[1], &self.0[2]].map(|end| end.as_raw_fd())
    }
}

/// What a child writes.
///
/// At its end a program closes one stream after the other, and is gone after that:
/// three events, of which each would take the processor from it to wake us. So of
/// a stream whose end nobody is to be told early we hold the other side too, until
/// the program has ended.
pub(crate) struct Output {
    receiver: pipe::Receiver,
    held: Option<Arc<OwnedFd>>,
    program: Program,
}

impl Output {
    /// What is there, once. The runtime hears only later that the stream has
    /// ended because we let go of it.
    fn read_rest(&self, buffer: &mut ReadBuf<'_>) -> Option<()> {
        let read = rustix::io::read(&self.receiver, buffer.initialize_unfilled());
        // Nothing yet, or a failure: the runtime tells.
        buffer.advance(read.ok()?);
        Some(())
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let let_go = self.program.is_over() && self.held.take().is_some();
        let read = Pin::new(&mut self.receiver).poll_read(context, buffer);
        if read.is_pending() && let_go && self.read_rest(buffer).is_some() {
            return Poll::Ready(Ok(()));
        }
        read
    }
}

/// The streams of a program to be, on both sides.
pub(super) fn streams(launch: &Launch, prepared: &Prepared) -> io::Result<(Pipes, Ends)> {
    let program = Program::default();
    let (stdin, input) = input(&launch.stdin)?;
    let (stdout, to_stdout) = output(launch.stdout, &program, prepared)?;
    let (stderr, to_stderr) = output(launch.stderr, &program, prepared)?;
    let pipes = Pipes {
        stdin,
        stdout,
        stderr,
        program,
    };
    Ok((pipes, Ends([input, to_stdout, to_stderr])))
}

fn input(bytes: &[u8]) -> io::Result<(Option<pipe::Sender>, Arc<OwnedFd>)> {
    if bytes.is_empty() {
        return Ok((None, null(false)?));
    }
    let (read, write) = io::pipe()?;
    rustix::io::ioctl_fionbio(&write, true)?;
    let sender = pipe::Sender::from_owned_fd_unchecked(write.into())?;
    Ok((Some(sender), Arc::new(read.into())))
}

fn output(
    sink: Sink,
    program: &Program,
    prepared: &Prepared,
) -> io::Result<(Option<Output>, Arc<OwnedFd>)> {
    if sink == Sink::Discard {
        return Ok((None, null(true)?));
    }
    let Pair { receiver, write } = prepared.take()?;
    let output = Output {
        receiver,
        // A plugin that reads alone may wait for the end of this stream.
        held: (sink != Sink::Pipe).then(|| Arc::clone(&write)),
        program: program.clone(),
    };
    Ok((Some(output), write))
}

fn null(write: bool) -> io::Result<Arc<OwnedFd>> {
    let null = std::fs::OpenOptions::new()
        .read(!write)
        .write(write)
        .open("/dev/null")?;
    Ok(Arc::new(null.into()))
}

/// Pipes that were made while nobody waited, and that no program has had.
#[derive(Debug, Default)]
pub(crate) struct Prepared(Mutex<Vec<(Id, Pair)>>);

#[derive(Debug)]
struct Pair {
    receiver: pipe::Receiver,
    write: Arc<OwnedFd>,
}

impl Pair {
    fn new() -> io::Result<Self> {
        let (read, write) = io::pipe()?;
        rustix::io::ioctl_fionbio(&read, true)?;
        Ok(Self {
            receiver: pipe::Receiver::from_owned_fd_unchecked(read.into())?,
            write: Arc::new(write.into()),
        })
    }
}

impl Prepared {
    /// As many as most programs need.
    const MOST: usize = 2;

    /// Makes them anew, where there is a runtime to watch them. Whoever finds none
    /// makes its own.
    pub(crate) fn refill(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        while self.lock().len() < Self::MOST {
            let Ok(pair) = Pair::new() else { return };
            self.lock().push((runtime.id(), pair));
        }
    }

    fn take(&self) -> io::Result<Pair> {
        let prepared = self.lock().pop();
        match prepared {
            // What another runtime watches is of no use here.
            Some((runtime, pair)) if runtime == Handle::current().id() => Ok(pair),
            _ => Pair::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Id, Pair)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
