//! A server's process with its folder, for as long as the tests run. Database
//! servers refuse to run as root, so root has them run as somebody else.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// `nobody`, as Debian and others number it.
const NOBODY: u32 = 65_534;
/// How long a server may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a program and waits until its port answers.
    pub(crate) fn start(folder: TempDir, port: u16, command: &mut Command) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            child,
            folder,
            port,
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(server.folder.path().join("log"));
                panic!("no server on port {port}: {log:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(claim(self.port)));
    }
}

/// A folder that the server's user may write to.
pub(crate) fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    if is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

/// A program to be run as the server's user.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}

/// A port that was free a moment ago, and that no other test is about to use:
/// tests run in processes of their own, each with its server.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if std::fs::File::create_new(claim(port)).is_ok() {
            return port;
        }
    }
}

/// The file that says whose port it is.
fn claim(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("jobcell-test-port-{port}"))
}

/// A program on the path or in one of these folders.
pub(crate) fn find(program: &str, besides: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(besides.iter().cloned());
    let mut places = folders.map(|folder| folder.join(program));
    places.find(|place| place.is_file())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    })
}
