//! The `process` capability: granted programs, each in a process group of its
//! own that the run owns and that ends with it. Never knows a job type.

mod capability;
mod host;
mod scratch;
mod spawn;
mod tools;

#[cfg(target_os = "linux")]
#[path = "unix.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "unsupported.rs"]
mod system;

pub use capability::{ProcessCapability, ProcessConfig};
pub use spawn::{Child, Exit, Launch, Sink};
pub use tools::Tools;
