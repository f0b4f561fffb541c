//! The `process` capability: granted programs, each in a process group of its
//! own that the run owns and that ends with it. Never knows a job type.

mod capability;
mod host;
mod identity;
mod meter;
mod program;
mod scratch;
mod spawn;
mod tools;
mod usage;

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "unsupported.rs"]
mod system;

pub use capability::{ProcessCapability, ProcessConfig};
pub use program::{Hash, HashError, Program, ProgramError};
pub use spawn::{Child, Exit, Launch, Place, Sink};
pub use tools::{Found, ToolGrant, Tools};
