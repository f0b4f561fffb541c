//! The binary `jobcell`: reads its arguments, hands them to a command, turns
//! what comes back into an exit code. Never does the work itself.

mod args;
mod commands;
mod compose;
mod config;
mod exit;
mod logging;
mod parameter;
mod problems;
mod samples;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let arguments = args::Arguments::parse();
    match commands::dispatch(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}
