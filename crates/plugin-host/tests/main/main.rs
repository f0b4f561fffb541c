//! The plugin host against plugins that misbehave.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bytes;
mod cache;
mod hostile;
mod sharing;
mod stopping;
mod support;
