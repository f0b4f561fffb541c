//! The streams between us and a program. Never reads what goes through them
//! before it is asked to.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::runtime::{Handle, Id};

use crate::spawn::{Launch, Sink};

/// So much of a stream is read in the turn in which its end is noted; what is left
/// comes a turn later.
const AT_ONCE: usize = 4 << 10;

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
    /// What is there, up to so much, once. The runtime hears only later that the
    /// stream has ended because we let go of it.
    fn read_rest(&self, buffer: &mut ReadBuf<'_>) -> Option<()> {
        let mut room = [MaybeUninit::<u8>::uninit(); AT_ONCE];
        let most = buffer.remaining().min(AT_ONCE);
        // Nothing yet, or a failure: the runtime tells.
        let (read, _) = rustix::io::read(&self.receiver, &mut room[..most]).ok()?;
        buffer.put_slice(read);
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
    let (stdin, input) = input(&launch.stdin, prepared)?;
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

fn input(bytes: &[u8], prepared: &Prepared) -> io::Result<(Option<pipe::Sender>, Arc<OwnedFd>)> {
    if bytes.is_empty() {
        return Ok((None, prepared.nothing()?));
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
        return Ok((None, Arc::new(null(true)?)));
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

fn null(write: bool) -> io::Result<OwnedFd> {
    let null = std::fs::OpenOptions::new()
        .read(!write)
        .write(write)
        .open("/dev/null")?;
    Ok(null.into())
}

/// Streams that were opened while nobody waited, and that no program has had.
#[derive(Debug, Default)]
pub(crate) struct Prepared(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    pipes: Vec<(Id, Pair)>,
    /// An input that ends at once: one for each program, as what is done to an open
    /// file is done for all that have it.
    nothing: Option<OwnedFd>,
}

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
        while self.lock().pipes.len() < Self::MOST {
            let Ok(pair) = Pair::new() else { return };
            self.lock().pipes.push((runtime.id(), pair));
        }
        if self.lock().nothing.is_none()
            && let Ok(nothing) = null(false)
        {
            self.lock().nothing = Some(nothing);
        }
    }

    fn take(&self) -> io::Result<Pair> {
        let prepared = self.lock().pipes.pop();
        match prepared {
            // What another runtime watches is of no use here.
            Some((runtime, pair)) if runtime == Handle::current().id() => Ok(pair),
            _ => Pair::new(),
        }
    }

    fn nothing(&self) -> io::Result<Arc<OwnedFd>> {
        let prepared = self.lock().nothing.take();
        prepared.map_or_else(|| null(false), Ok).map(Arc::new)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::Write;
    use std::task::Waker;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::program;

    fn launch(stdout: Sink) -> Launch {
        let program = program::Program::open("/bin/sh".as_ref(), None).unwrap();
        let mut launch = Launch::new(program, "/".into());
        launch.stdout = stdout;
        launch
    }

    /// How many bytes are there now, as one turn of the reader's has it.
    fn read_now(output: &mut Output) -> Option<usize> {
        let mut bytes = [0; 100];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(output).poll_read(&mut context, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()).ok(),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn of_a_program_that_has_ended_all_is_read_in_one_turn() {
        let (mut pipes, ends) = streams(&launch(Sink::Tee), &Prepared::default()).unwrap();
        let mut stdout = pipes.stdout.take().unwrap();
        let theirs = ends.0[1].try_clone().unwrap();
        io::PipeWriter::from(theirs).write_all(b"abc").unwrap();
        drop(ends);
        assert_eq!(stdout.read(&mut [0; 3]).await.unwrap(), 3);
        // Nobody but us has the other side.
        assert_eq!(read_now(&mut stdout), None);
        pipes.program.has_ended();
        assert_eq!(read_now(&mut stdout), Some(0));
    }

    #[tokio::test]
    async fn what_is_too_much_for_one_turn_comes_in_the_next() {
        let (mut pipes, ends) = streams(&launch(Sink::Tee), &Prepared::default()).unwrap();
        let mut stdout = pipes.stdout.take().unwrap();
        assert_eq!(read_now(&mut stdout), None);
        let theirs = ends.0[1].try_clone().unwrap();
        let written = vec![7; 2 * AT_ONCE + 1];
        io::PipeWriter::from(theirs).write_all(&written).unwrap();
        drop(ends);
        pipes.program.has_ended();
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, written);
    }

    #[tokio::test]
    async fn who_alone_reads_a_stream_is_told_of_its_end_by_the_system() {
        let (mut pipes, ends) = streams(&launch(Sink::Pipe), &Prepared::default()).unwrap();
        drop(ends);
        let mut all = Vec::new();
        let mut stdout = pipes.stdout.take().unwrap();
        stdout.read_to_end(&mut all).await.unwrap();
        assert!(all.is_empty());
    }

    #[tokio::test]
    async fn pipes_are_made_ahead_and_each_is_had_once() {
        let prepared = Prepared::default();
        prepared.refill();
        prepared.refill();
        assert_eq!(prepared.lock().pipes.len(), Prepared::MOST);
        let number = |pair: &Pair| pair.write.as_raw_fd();
        let made: Vec<_> = prepared
            .lock()
            .pipes
            .iter()
            .map(|one| number(&one.1))
            .collect();
        let had: Vec<Pair> = (0..3).map(|_| prepared.take().unwrap()).collect();
        assert!(
            made.iter()
                .all(|one| had[..2].iter().any(|pair| number(pair) == *one))
        );
        assert!(!made.contains(&number(&had[2])) && prepared.lock().pipes.is_empty());
    }

    #[test]
    fn what_another_runtime_watches_is_not_used() {
        let runtime = || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap()
        };
        let prepared = Prepared::default();
        prepared.refill();
        assert!(prepared.lock().pipes.is_empty(), "nobody would watch it");
        let first = runtime();
        first.block_on(async { prepared.refill() });
        drop(first);
        let length = runtime().block_on(async {
            let Pair {
                mut receiver,
                write,
            } = prepared.take().unwrap();
            drop(write);
            receiver.read_to_end(&mut Vec::new()).await
        });
        assert_eq!(length.unwrap(), 0);
    }
}
