//! `jobcell validate`: checks job files. Stores and runs nothing.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use jobcell_engine::Engine;
use jobcell_model::Problem;
use jobcell_store::RedbStore;

use crate::args::{Format, Validate};
use crate::compose::{self, DataFolder};
use crate::config::Config;
use crate::databases;
use crate::exit::{Exit, Failure};
use crate::out::say;
use crate::problems;

/// The most that is read of a job file, in bytes: what a job may have.
const LARGEST: u64 = 1 << 20;

pub(super) fn run(options: &Validate, config: &Config) -> Result<Exit, Failure> {
    let runtime = compose::runtime()?;
    let data = DataFolder::choose(None, config)?;
    let job_types = compose::job_types(config, &data, &databases::configured(config, &data))?;
    runtime.block_on(async {
        let engine = storeless_engine(config, job_types).await?;
        let mut exit = Exit::Success;
        let mut reports = Vec::new();
        for file in &options.files {
            let report = check(&engine, file).await;
            if !report.valid {
                exit = Exit::InvalidJob;
            }
            match options.format {
                Format::Text => report.print(),
                Format::Json => reports.push(report.to_json()),
            }
        }
        if options.format == Format::Json {
            print_json(&reports);
        }
        Ok(exit)
    })
}

/// An engine for work that leaves no trace.
pub(super) async fn storeless_engine(
    config: &Config,
    job_types: jobcell_engine::JobTypes,
) -> Result<Engine, Failure> {
    let store = RedbStore::in_memory()
        .map_err(|error| Failure::context(Exit::Internal, error, "no store in memory"))?;
    compose::engine(config, job_types, std::sync::Arc::new(store)).await
}

/// Reads a job file; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| format!("it can't be read: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!(
            "it has more than {LARGEST} bytes; a job may have no more"
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16 text; save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "it is not UTF-8 text (byte {})",
            error.utf8_error().valid_up_to() + 1
        )
    })
}

struct Report {
    file: PathBuf,
    text: String,
    valid: bool,
    unreadable: Option<String>,
    problems: Vec<Problem>,
}

async fn check(engine: &Engine, file: &Path) -> Report {
    let report = |text, valid, unreadable, problems| Report {
        file: file.to_owned(),
        text,
        valid,
        unreadable,
        problems,
    };
    let text = match read(file) {
        Ok(text) => text,
        Err(reason) => return report(String::new(), false, Some(reason), Vec::new()),
    };
    match engine.check(&text).await {
        Ok(checked) => report(text, true, None, checked.warnings),
        Err(problems) => report(text, false, None, problems),
    }
}

impl Report {
    fn print(&self) {
        let name = self.file.display().to_string();
        if let Some(reason) = &self.unreadable {
            say!("{name}: {reason}\n");
            return;
        }
        if !self.problems.is_empty() {
            let colour = std::io::stdout().is_terminal();
            say!(
                "{}\n",
                problems::render(&name, &self.text, &self.problems, colour)
            );
        }
        if self.valid {
            say!("{name}: valid");
        }
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.file,
            "valid": self.valid,
            "error": self.unreadable,
            "problems": self.problems,
        })
    }
}

fn print_json(reports: &[serde_json::Value]) {
    say!("{:#}", serde_json::Value::from(reports));
}
