//! How a run that was carried out ended.

use crate::job_type::Completion;

/// The job did what it was for.
#[must_use]
pub const fn succeeded() -> Completion {
    Completion {
        success: true,
        return_code: None,
        message: None,
    }
}

/// The job was carried out and did not do what it was for.
#[must_use]
pub fn failed(message: impl Into<String>) -> Completion {
    Completion {
        success: false,
        return_code: None,
        message: Some(message.into()),
    }
}

/// A program ended with this code; zero is success.
#[must_use]
pub fn exited(code: i32) -> Completion {
    Completion {
        success: code == 0,
        return_code: Some(code),
        message: (code != 0).then(|| format!("the program ended with code {code}")),
    }
}
