//! The private folder of a run: made when it is first needed, for its owner
//! alone, and removed with the run: before its report where we wrote there, right
//! after it otherwise. Never outlives a start of the server.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobcell_plugin_host::bindings::types::Failure;
use jobcell_plugin_host::{codes, invalid, unavailable};
use tempfile::TempDir;

/// How private folders are named.
const PREFIX: &str = "run-";
/// So many folders wait for the next run.
const MOST_UNUSED: usize = 64;
/// The largest private file, in bytes.
const LARGEST: usize = 16 << 20;

/// Where private folders are, and those that no run has now. A run that wrote
/// nothing gives its folder back: making and removing one costs more than a
/// third of what it costs to start a process.
#[derive(Debug)]
pub(crate) struct Folders {
    root: PathBuf,
    unused: Mutex<Vec<Private>>,
}

/// A private folder, removed when it is dropped.
#[derive(Debug)]
struct Private {
    folder: TempDir,
    /// Locked as long as it is here; the system unlocks it at a crash.
    _in_use: Option<File>,
}

/// A run's private folder, if it has one.
pub(crate) struct Scratch {
    folders: Arc<Folders>,
    folder: Option<Private>,
    /// Whether we put something into it, or gave it away.
    used: bool,
    /// Whether nobody is in it any more, as far as is known.
    is_left: bool,
}

impl Folders {
    /// Those below a folder.
    pub(crate) fn below(root: PathBuf) -> Self {
        Self {
            root,
            unused: Mutex::default(),
        }
    }

    fn take(&self) -> Result<Private, Failure> {
        if let Some(private) = self.lock().pop() {
            return Ok(private);
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let made = builder.tempdir_in(&self.root);
        let folder = made.map_err(|error| failed(&self.root, &error))?;
        Ok(Private {
            _in_use: lock(folder.path()),
            folder,
        })
    }

    /// Keeps a folder for the next run if it is as it was made, and removes it
    /// otherwise.
    fn give_back(&self, private: Private, used: bool) {
        if !used && is_untouched(private.folder.path()) {
            let mut unused = self.lock();
            if unused.len() < MOST_UNUSED {
                return unused.push(private);
            }
        }
        let path = private.folder.path().to_owned();
        if let Err(error) = private.folder.close() {
            tracing::warn!(folder = %path.display(), %error, "a private folder can't be removed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Private>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the private folders that a crash left.
    pub(crate) fn clean(&self) {
        clean(&self.root);
    }
}

/// Whether a folder is empty, and its owner's alone.
fn is_untouched(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = folder.metadata().map(|facts| facts.permissions().mode());
        if !mode.is_ok_and(|mode| mode & 0o7777 == 0o700) {
            return false;
        }
    }
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

impl Scratch {
    /// The folder of a run to be.
    pub(crate) fn of(folders: &Arc<Folders>) -> Self {
        Self {
            folders: Arc::clone(folders),
            folder: None,
            used: false,
            is_left: false,
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
        self.used = true;
        write_private(&file, contents)
            .map_err(|error| failed(&file, &error))
            .map(|()| file)
    }

    /// Once no process of the run is left, ends it, with all that lies in it, if we
    /// put something there. Otherwise it is looked at when this is dropped.
    pub(crate) fn leave(&mut self) {
        self.is_left = true;
        if self.used {
            self.remove();
        }
    }

    /// Ends it, with all that lies in it.
    fn remove(&mut self) {
        if let Some(private) = self.folder.take() {
            let used = self.used || !self.is_left;
            self.folders.give_back(private, used);
        }
    }

    /// The folder, where a process works that was told no other. Made when it
    /// is first needed.
    pub(crate) fn folder(&mut self) -> Result<&Path, Failure> {
        let private = match self.folder.take() {
            Some(private) => private,
            None => self.folders.take()?,
        };
        Ok(self.folder.insert(private).folder.path())
    }

    /// No other run may have it: somebody may still be in it.
    pub(crate) const fn keep_from_others(&mut self) {
        self.used = true;
    }

    /// Makes it, with what lies in it, somebody else's.
    #[cfg(unix)]
    pub(crate) fn hand_to(&mut self, uid: u32, gid: u32) -> Result<(), Failure> {
        let Some(private) = &self.folder else {
            return Ok(());
        };
        self.used = true;
        let folder = private.folder.path();
        // Nobody else can have put a link here: it is ours alone until now.
        let files = std::fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
        let files = files.flatten().map(|file| file.path());
        files
            .chain([folder.to_owned()])
            .try_for_each(|path| std::os::unix::fs::lchown(&path, Some(uid), Some(gid)))
            .map_err(|error| failed(folder, &error))
    }

    #[cfg(not(unix))]
    pub(crate) fn hand_to(&mut self, _uid: u32, _gid: u32) -> Result<(), Failure> {
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes the private folders that a crash left.
fn clean(root: &Path) {
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

    fn folders(root: &TempDir) -> Arc<Folders> {
        Arc::new(Folders::below(root.path().to_owned()))
    }

    fn scratch(root: &TempDir) -> Scratch {
        Scratch::of(&folders(root))
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
        scratch.leave();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_was_left_as_it_was_made_serves_the_next_run() {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        let mut first = Scratch::of(&folders);
        let place = first.folder().unwrap().to_owned();
        first.leave();
        drop(first);
        let mut second = Scratch::of(&folders);
        assert_eq!(second.folder().unwrap(), place);
        std::fs::write(place.join("left"), "").unwrap();
        second.leave();
        drop(second);
        assert!(!place.exists());
        let mut third = Scratch::of(&folders);
        let place = third.folder().unwrap().to_owned();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let open = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(&place, open).unwrap();
            third.leave();
            drop(third);
            assert!(!place.exists(), "others could have got in");
        }
        drop(folders);
    }

    #[test]
    fn a_folder_that_somebody_may_be_in_serves_nobody_else() {
        let root = tempfile::tempdir().unwrap();
        let mut dropped = scratch(&root);
        let place = dropped.folder().unwrap().to_owned();
        drop(dropped);
        assert!(!place.exists(), "its run was dropped and not ended");
    }

    #[test]
    fn unused_folders_go_with_the_server() {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        let mut scratch = Scratch::of(&folders);
        scratch.folder().unwrap();
        scratch.leave();
        drop(scratch);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
        drop(folders);
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
