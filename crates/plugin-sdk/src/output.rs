//! Writes to the run's output with the macros of the standard library:
//! `writeln!(output::stdout(), "{rows} rows")?`. Print statements work too; this
//! way is quicker, and says which stream is meant.

use std::io::{LineWriter, Result, Write};

use crate::run_context;
use crate::types::OutputStream;

/// One stream of the run's output. Each write is a call of the host.
#[derive(Debug, Clone, Copy)]
pub struct Output(OutputStream);

/// Standard output, written by whole lines.
#[must_use]
pub fn stdout() -> LineWriter<Output> {
    LineWriter::new(Output(OutputStream::Stdout))
}

/// Standard error, written by whole lines.
#[must_use]
pub fn stderr() -> LineWriter<Output> {
    LineWriter::new(Output(OutputStream::Stderr))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        run_context::write(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
