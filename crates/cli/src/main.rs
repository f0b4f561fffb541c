//! The binary `jobcell`: reads its arguments, hands them to a command, turns
//! what comes back into an exit code. Never does the work itself.

mod args;
mod client;
mod commands;
mod compose;
mod config;
mod connection_setting;
mod databases;
mod exit;
mod logging;
mod out;
mod parameter;
mod problems;
mod samples;
mod signals;
mod tool_setting;

use clap::Parser;

fn main() -> std::process::ExitCode {
    jobcell_host_process::raise_open_files();
    let arguments = args::Arguments::parse();
    match commands::dispatch(arguments) {
        Ok(exit) if out::was_lost() => {
            out::complain!("jobcell: standard output can't be written; what it was to say is lost");
            let lost = if exit == exit::Exit::Success {
                exit::Exit::Unavailable
            } else {
                exit
            };
            lost.into()
        }
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}
