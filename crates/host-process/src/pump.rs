//! Moves the streams of one process on a task of its own, so that neither a
//! plugin that computes nor one that never reads holds up the process, and takes
//! note of its end. Never keeps what it moves.

use std::future::Future;

use jobcell_model::OutputStream;
use jobcell_plugin_host::RunScope;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

#[cfg(windows)]
use crate::decode::Decoder;
use crate::spawn::{Launch, Sink};
use crate::system::{FromStderr, FromStdout, Pipes};

/// How much is read at once, at most, and at first: most programs write little.
pub(crate) const PIECE: usize = 64 << 10;
const FIRST_PIECE: usize = 4 << 10;
/// Pieces that wait for a plugin before the child has to.
const WAITING_PIECES: usize = 8;

/// Streams that have ended, on our side.
pub(crate) type Drained = (Option<FromStdout>, Option<FromStderr>);
pub(crate) type Sender = Option<mpsc::Sender<Vec<u8>>>;

/// Whom a stream is given to, where a plugin is.
pub(crate) fn channel(sink: Sink) -> (Sender, Option<mpsc::Receiver<Vec<u8>>>) {
    match sink {
        Sink::Pipe | Sink::Tee => {
            let (sender, receiver) = mpsc::channel(WAITING_PIECES);
            (Some(sender), Some(receiver))
        }
        Sink::Output | Sink::Discard => (None, None),
    }
}

/// Moves all streams until they end, and tells when the process has, which it is
/// given as a future: at the end both are ready at once, and one task that takes
/// both needs no other thread. Owned by the child, ended with it; what it can't
/// read ends the stream, which is all that there is to say.
pub(crate) fn pump<E: Future<Output = ()>>(
    pipes: Pipes,
    launch: &Launch,
    scope: RunScope,
    to: [Sender; 2],
    end: E,
    tell: watch::Sender<bool>,
) -> impl Future<Output = Drained> + use<E> {
    let (stdout, stderr) = (launch.stdout, launch.stderr);
    let stdin = launch.stdin.clone();
    let [to_stdout, to_stderr] = to;
    async move {
        let Pipes {
            stdin: input,
            stdout: output,
            stderr: errors,
            program,
        } = pipes;
        let feed = async {
            if let Some(mut input) = input {
                // A child that does not read its input is within its rights.
                drop(input.write_all(&stdin).await);
            }
        };
        let note_end = async {
            end.await;
            program.has_ended();
            tell.send_replace(true);
        };
        // In this order, so that the streams hear of the end in the turn in which
        // it is noted: nobody wakes them for it.
        let ((), (), output, errors) = tokio::join!(
            biased;
            note_end,
            feed,
            drain(output, OutputStream::Stdout, stdout, &scope, to_stdout),
            drain(errors, OutputStream::Stderr, stderr, &scope, to_stderr),
        );
        (output, errors)
    }
}

/// Gives the pipe back: to close it takes time that nobody needs to wait for.
async fn drain<P: AsyncRead + Unpin>(
    pipe: Option<P>,
    stream: OutputStream,
    sink: Sink,
    scope: &RunScope,
    mut reader: Sender,
) -> Option<P> {
    let mut pipe = pipe?;
    let mut buffer = Vec::with_capacity(FIRST_PIECE);
    #[cfg(windows)]
    let mut decoder = crate::system::decoder();
    loop {
        buffer.clear();
        let length = pipe.read_buf(&mut buffer).await.unwrap_or(0);
        let piece = &buffer[..];
        #[cfg(windows)]
        let decoded = match (length, &mut decoder) {
            (0, decoder) => decoder.take().map(Decoder::finish).unwrap_or_default(),
            (_, Some(decoder)) => decoder.push(piece),
            (_, None) => piece.to_vec(),
        };
        #[cfg(windows)]
        let piece = &decoded[..];
        if length == 0 && piece.is_empty() {
            return Some(pipe);
        }
        if matches!(sink, Sink::Output | Sink::Tee) {
            scope.output().write(stream, piece);
        }
        if let Some(sender) = &reader
            && sender.send(piece.to_vec()).await.is_err()
        {
            reader = None;
        }
        if length == 0 {
            return Some(pipe);
        }
        if length == buffer.capacity() && length < PIECE {
            buffer = Vec::with_capacity((length * 4).min(PIECE));
        }
    }
}
