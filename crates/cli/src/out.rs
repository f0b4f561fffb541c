//! What the binary writes to its standard streams. Never panics where a reader
//! has gone or the disk behind a stream is full, as `println!` does.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something for standard output was lost, though a reader was there.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes one line to standard output.
macro_rules! say {
    () => { $crate::out::line(format_args!("")) };
    ($($text:tt)+) => { $crate::out::line(format_args!($($text)+)) };
}
/// Writes one line to standard error.
macro_rules! complain {
    ($($text:tt)+) => { $crate::out::error_line(format_args!($($text)+)) };
}
pub(crate) use {complain, say};

/// Writes one line to standard output.
pub(crate) fn line(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    note(writeln!(stdout, "{text}").and_then(|()| stdout.flush()));
}

/// Writes bytes to standard output as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    note(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

/// Writes one line to standard error. Where that fails there is nobody to tell.
pub(crate) fn error_line(text: Arguments<'_>) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Whether output was lost. A reader that went away wanted no more.
pub(crate) fn was_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

fn note(written: io::Result<()>) {
    if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Standard error for log lines. One that can't be written is lost: the server
/// must not fail because its log does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(io::stderr().lock().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
