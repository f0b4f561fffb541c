//! What keeps a process from being started, in words that help. Never starts any.

use std::ffi::OsString;
use std::io::ErrorKind;

use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{codes, invalid, not_found, other, unavailable};

use crate::spawn::Launch;
use crate::system::{Failed, NotStarted};

/// Refuses what no system could start.
pub(crate) fn check(launch: &Launch) -> Result<(), Failure> {
    let has_nul = |text: &OsString| text.as_encoded_bytes().contains(&0);
    if launch.arguments.iter().any(has_nul) {
        return Err(invalid(
            codes::MISUSE,
            "an argument contains a NUL character",
        ));
    }
    for (name, value) in &launch.environment {
        let bytes = name.as_encoded_bytes();
        if bytes.is_empty() || bytes.contains(&b'=') || has_nul(name) || has_nul(value) {
            let message = format!("the variable `{}` can't be set", name.to_string_lossy());
            return Err(invalid(codes::MISUSE, message));
        }
    }
    if !launch.working_directory.is_absolute() {
        let message = format!(
            "the working folder `{}` is not an absolute path",
            launch.working_directory.display()
        );
        return Err(invalid(codes::PATH_NOT_FOUND, message));
    }
    // Elsewhere the new process itself tells.
    if cfg!(windows) && !launch.working_directory.is_dir() {
        let message = format!(
            "the working folder {} is not there or can't be entered",
            launch.working_directory.display()
        );
        return Err(not_found(codes::PATH_NOT_FOUND, message));
    }
    Ok(())
}

/// Why a system did not start it.
pub(crate) fn refused(launch: &Launch, failed: &NotStarted) -> Failure {
    let NotStarted { stage, error } = failed;
    let program = launch.program.path().display();
    match stage {
        Failed::Folder => {
            let folder = launch.working_directory.display();
            let mut message = format!("the working folder {folder} can't be entered: {error}");
            if launch.identity.is_some() {
                message
                    .push_str(" (the user of `runAs` must be able to pass each folder above it)");
            }
            return not_found(codes::PATH_NOT_FOUND, message);
        }
        Failed::Identity => {
            let message = format!("{program} can't be run as the user of its grant: {error}");
            return unavailable(codes::SPAWN_FAILED, message);
        }
        Failed::Limits => {
            let message = format!("the limits of {program} can't be set: {error}");
            return unavailable(codes::SPAWN_FAILED, message);
        }
        Failed::Program | Failed::Start => {}
    }
    let message = format!("{program} can't be started: {error}");
    match error.kind() {
        ErrorKind::ArgumentListTooLong => {
            let hint = "its arguments and variables are too long for this system; pass long values in a file";
            invalid(codes::SPAWN_FAILED, format!("{message}: {hint}"))
        }
        // The executable is there, so what is missing is what it names.
        ErrorKind::NotFound if launch.program.path().exists() => {
            let hint = "the interpreter in its first line, or its loader, is not on this machine";
            other(codes::SPAWN_FAILED, format!("{message}: {hint}"), [])
        }
        ErrorKind::Unsupported | ErrorKind::WouldBlock | ErrorKind::OutOfMemory => {
            unavailable(codes::SPAWN_FAILED, message)
        }
        _ => other(codes::SPAWN_FAILED, message, []),
    }
}
