//! Where results go: the run's output, or a file that is kept with the run.
//! A file that can't take more fails the run at its end, not the statements.

use jobcell_plugin_sdk::run_context::{self, Artifact};
use jobcell_plugin_sdk::sql::{Column, Summary, Value};
use jobcell_plugin_sdk::types::{Failure, OutputStream};

use crate::configuration::Configuration;
use crate::format::Writer;

/// Takes results as they come.
pub(crate) struct Output {
    writer: Writer,
    file: Option<Artifact>,
    failed: Option<Failure>,
}

impl Output {
    /// The output that a job asks for.
    pub(crate) fn of(configuration: &Configuration) -> Result<Self, Failure> {
        let format = configuration.output_format;
        let name = configuration.output_file.as_deref();
        let file = name.map(|name| Artifact::create(name, format.media_type()));
        let output = Self {
            writer: Writer::new(format),
            file: file.transpose()?,
            failed: None,
        };
        Ok(output.started())
    }

    fn started(mut self) -> Self {
        self.put(self.writer.start());
        self
    }

    /// Whether nothing but results may be on standard output.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.writer.is_for_programs() && self.file.is_none()
    }

    /// A result of a statement begins.
    pub(crate) fn begin(&mut self, statement: usize, columns: &[Column]) {
        let text = self.writer.begin(statement, columns);
        self.put(&text);
    }

    pub(crate) fn rows(&mut self, rows: &[Vec<Value>]) {
        let text = self.writer.rows(rows);
        self.put(&text);
    }

    /// The present result has ended.
    pub(crate) fn end(&mut self, summary: &Summary, cut: bool) {
        let text = self.writer.end(summary, cut);
        self.put(&text);
    }

    /// The statement failed, maybe within a result.
    pub(crate) fn fail(&mut self) {
        let text = self.writer.fail();
        self.put(text);
    }

    /// All results were taken.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.put(self.writer.finish());
        match (self.failed.take(), self.file.take()) {
            (Some(failure), _) => Err(failure),
            (None, Some(file)) => file.finish(),
            (None, None) => Ok(()),
        }
    }

    fn put(&mut self, text: &str) {
        let Some(file) = &self.file else {
            return put(text);
        };
        if self.failed.is_none()
            && !text.is_empty()
            && let Err(failure) = file.write(text.as_bytes())
        {
            self.failed = Some(failure);
        }
    }
}

/// Writes to the run's standard output.
pub(crate) fn put(text: &str) {
    if !text.is_empty() {
        run_context::write(OutputStream::Stdout, text.as_bytes());
    }
}
