//! Lines of the run's log.

use crate::run_context::{self, Level};

/// What is only of use in search of a fault.
pub fn debug(message: &str) {
    run_context::log(Level::Debug, message);
}

/// What a person may want to know.
pub fn info(message: &str) {
    run_context::log(Level::Info, message);
}

/// What may be wrong, and does not stop the run.
pub fn warn(message: &str) {
    run_context::log(Level::Warn, message);
}

/// What is wrong.
pub fn error(message: &str) {
    run_context::log(Level::Error, message);
}
