//! One file for each subcommand. This one only chooses.

mod connection;
mod demo;
mod doctor;
mod migrate;
mod run;
mod schedule;
mod serve;
mod validate;

use crate::args::{Arguments, Command, Schedule};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::logging;

/// Carries out the command that was given.
pub(crate) fn dispatch(arguments: Arguments) -> Result<Exit, Failure> {
    let config = Config::read(arguments.common.config.as_deref())?;
    let format = arguments.common.log_format.unwrap_or(config.log.format);
    let quiet = !matches!(arguments.command, Command::Serve(_));
    let filter = match (&arguments.common.log, quiet) {
        (Some(filter), _) => filter.clone(),
        // A person at a terminal wants the answer, not the story.
        (None, true) => "warn".to_owned(),
        (None, false) => config.log.filter.clone(),
    };
    logging::start(format, &filter).map_err(|error| Failure::new(Exit::Usage, error))?;
    match arguments.command {
        Command::Serve(options) => serve::run(options, config),
        Command::Demo => demo::run(&config),
        Command::Doctor(options) => doctor::run(&options, &config),
        Command::Migrate(options) => migrate::run(options, &config),
        Command::Run(options) => run::run(options, &config),
        Command::Validate(options) => validate::run(&options, &config),
        Command::Connection(options) => connection::run(options),
        Command::Schedule {
            command: Schedule::Explain(options),
        } => schedule::explain(&options, &config),
    }
}
