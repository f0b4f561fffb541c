//! Where process groups are not known yet: starting a process says so.

use std::io;

use crate::spawn::{Exit, Launch, Usage};

/// The streams of a child.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<tokio::io::Empty>,
    pub(crate) stdout: Option<tokio::io::Empty>,
    pub(crate) stderr: Option<tokio::io::Empty>,
}

/// What is known of a group that ended.
pub(crate) struct End {
    pub(crate) exit: Exit,
    pub(crate) usage: Usage,
    pub(crate) group_gone: bool,
}

/// A group, which can't exist here.
pub(crate) enum Group {}

/// Refuses.
pub(crate) fn start(_launch: &Launch) -> io::Result<(Group, Pipes)> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "processes can't be held together on this system yet",
    ))
}

impl Group {
    pub(crate) async fn ended(&self) {
        match *self {}
    }

    pub(crate) async fn emptied(&self) {
        match *self {}
    }

    pub(crate) fn terminate(&self) {
        match *self {}
    }

    pub(crate) fn kill(&self) {
        match *self {}
    }

    pub(crate) async fn reap(&mut self) -> End {
        match *self {}
    }
}
