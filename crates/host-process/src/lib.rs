//! The `process` capability: granted programs, each in a process group of its
//! own that the run owns and that ends with it. Never knows a job type.

mod capability;
#[cfg(any(windows, test))]
mod decode;
mod host;
mod identity;
mod meter;
mod program;
mod pump;
mod refusal;
mod scratch;
mod spawn;
mod tools;
mod usage;
mod watcher;

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod system;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;
#[cfg(not(any(target_os = "linux", windows)))]
compile_error!(
    "processes can be held together on Linux and Windows; another system needs its own `system`"
);

pub use capability::{ProcessCapability, ProcessConfig};
pub use program::{Hash, HashError, Program, ProgramError};
pub use spawn::{Child, Exit, Launch, Place, Sink};
pub use system::{raise_open_files, system_lacks};
pub use tools::{Found, ToolGrant, Tools};
