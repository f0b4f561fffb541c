//! The private folder of a run: made when it is first needed, for its owner
//! alone, removed when the run ends. Never outlives a start of the server.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{codes, invalid, unavailable};
use tempfile::TempDir;

/// How private folders are named.
const PREFIX: &str = "run-";
/// The largest private file, in bytes.
const LARGEST: usize = 16 << 20;

/// A run's private folder, if it has one.
pub(crate) struct Scratch {
    root: PathBuf,
    prefix: String,
    folder: Option<TempDir>,
    /// Locked as long as the run goes on; the system unlocks it at a crash.
    in_use: Option<File>,
}

impl Scratch {
    /// The folder of an execution, which gives it its name.
    pub(crate) fn below(root: PathBuf, execution: &str) -> Self {
        let plain = |character: &char| character.is_ascii_alphanumeric() || *character == '-';
        let mut prefix = PREFIX.to_owned();
        prefix.extend(execution.chars().filter(plain).take(64));
        prefix.push('-');
        Self {
            root,
            prefix,
            folder: None,
            in_use: None,
        }
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&mut self, name: &str, contents: &[u8]) -> Result<PathBuf, Failure> {
        let plain = !name.is_empty()
            && name.len() <= 200
            && !name.starts_with('.')
            && !name.contains(['/', '\\', '\0', ':']);
        if !plain {
            return Err(invalid(
                codes::MISUSE,
                format!("`{name}` is no plain file name"),
            ));
        }
        if contents.len() > LARGEST {
            let message = format!(
                "a private file may have {LARGEST} bytes, not {}",
                contents.len()
            );
            return Err(invalid(codes::MISUSE, message));
        }
        let file = self.folder()?.join(name);
        write_private(&file, contents)
            .map_err(|error| failed(&file, &error))
            .map(|()| file)
    }

    /// Removes it.
    pub(crate) fn remove(&mut self) {
        self.in_use = None;
        if let Some(folder) = self.folder.take() {
            let path = folder.path().to_owned();
            if let Err(error) = folder.close() {
                tracing::warn!(folder = %path.display(), %error, "a private folder can't be removed");
            }
        }
    }

    /// The folder, where a process works that was told no other. Made when it
    /// is first needed.
    pub(crate) fn folder(&mut self) -> Result<&Path, Failure> {
        if self.folder.is_none() {
            let mut builder = tempfile::Builder::new();
            builder.prefix(&self.prefix);
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let made = builder
                .tempdir_in(&self.root)
                .map_err(|error| failed(&self.root, &error))?;
            self.in_use = lock(made.path());
            self.folder = Some(made);
        }
        Ok(self.folder.as_ref().map_or(&self.root, TempDir::path))
    }
}

/// Removes the private folders that a crash left.
pub(crate) fn clean(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Some(_unused) = lock(&entry.path()) else {
            continue;
        };
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(folder = %entry.path().display(), %error, "a left-over folder can't be removed");
        }
    }
}

/// The lock on a folder, unless somebody else has it. A system that locks no
/// folders leaves leftovers where they are, which harms no run.
fn lock(folder: &Path) -> Option<File> {
    let handle = File::open(folder).ok()?;
    handle.try_lock().is_ok().then_some(handle)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!(
        "the private folder of the run can't be used ({}): {error}",
        path.display()
    );
    unavailable(codes::PATH_NOT_FOUND, message)
}

fn write_private(file: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(contents)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn scratch(root: &TempDir) -> Scratch {
        Scratch::below(root.path().to_owned(), "0192-ab/../c")
    }

    #[test]
    fn a_file_is_private_and_goes_with_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let mut scratch = scratch(&root);
        let file = scratch.write("script.ps1", b"x").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        }
        let folder = file.parent().unwrap().file_name().unwrap();
        assert!(folder.to_str().unwrap().starts_with("run-0192-abc-"));
        scratch.remove();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let mut scratch = scratch(&root);
        for name in [
            "", "..", "../x", "a/b", "a\\b", "/etc/x", ".hidden", "a\0", "C:x",
        ] {
            assert!(scratch.write(name, b"").is_err(), "{name:?}");
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_left_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run-abc/deep")).unwrap();
        std::fs::create_dir_all(root.path().join("other")).unwrap();
        let mut going_on = scratch(&root);
        let file = going_on.write("script.ps1", b"x").unwrap();
        clean(root.path());
        assert!(!root.path().join("run-abc").exists());
        assert!(root.path().join("other").exists());
        assert!(file.exists(), "a run that goes on keeps its folder");
    }
}
