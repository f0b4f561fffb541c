//! An executable that was opened once: what was checked is what is run,
//! whatever its path leads to a moment later. Never runs it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// A SHA-256 (FIPS 180-4) of an executable, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(HashError);
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(|_| HashError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| HashError)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
pub struct HashError;

/// A file that can't be used as a program.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Its path leads nowhere, or to no file.
    #[error("is not there")]
    Missing,
    /// It is not marked as executable, or not for us.
    #[error("may not be executed")]
    NotExecutable,
    /// It can't be opened.
    #[error("can't be opened")]
    Open(#[source] io::Error),
    /// It is not the file that the admin named.
    #[error("has the SHA-256 {found}, not the one that is granted")]
    Changed {
        /// What it has.
        found: Hash,
    },
}

/// An executable that was opened.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    #[cfg_attr(
        windows,
        expect(
            dead_code,
            reason = "there it is run by its path, and can't be changed while it is open"
        )
    )]
    /// What is run; a script without a hash is run by its path, because its
    /// interpreter opens that again by itself.
    file: Option<Arc<File>>,
    #[cfg_attr(windows, expect(dead_code, reason = "there are none of this kind"))]
    is_script: bool,
}

impl Program {
    /// Opens an executable and, where a hash is given, checks its content.
    ///
    /// # Errors
    /// When it is no executable file, or another one than was granted.
    pub fn open(path: &Path, hash: Option<Hash>) -> Result<Self, ProgramError> {
        let mut file = open(path, hash.is_some())?;
        check_mode(path, &file)?;
        let mut start = [0; 2];
        // One that may be run and not read is no script: an interpreter could
        // not read it either.
        let is_script = file.read_exact(&mut start).is_ok() && start == *b"#!";
        if let Some(hash) = hash {
            let found = CONTENTS.of(&mut file, SystemTime::now());
            let found = found.map_err(ProgramError::Open)?;
            if found != hash {
                return Err(ProgramError::Changed { found });
            }
        }
        let by_path = is_script && hash.is_none();
        Ok(Self {
            path: path.to_owned(),
            file: (!by_path).then(|| Arc::new(file)),
            is_script,
        })
    }

    /// The path that it was opened by, which is also its own name for itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn file(&self) -> Option<&File> {
        self.file.as_deref()
    }

    #[cfg(target_os = "linux")]
    pub(crate) const fn is_script(&self) -> bool {
        self.is_script
    }
}

/// What files contain, as far as it was looked at: a tool may be large, and runs
/// often.
struct Contents(Mutex<BTreeMap<Place, (State, Hash)>>);

/// Of all programs of this process: a file is the same for all.
static CONTENTS: Contents = Contents(Mutex::new(BTreeMap::new()));

/// Device and number of a file.
type Place = (u64, u64);
/// Its size, and when it was changed last, which nobody but the system sets.
type State = (u64, i64, i64);

impl Contents {
    /// So many are remembered.
    const MOST: usize = 256;
    /// A file that was changed so short a time ago may be changed again without
    /// its time being another one.
    const SETTLED: Duration = Duration::from_secs(2);

    fn of(&self, file: &mut File, now: SystemTime) -> io::Result<Hash> {
        let Some((place, state)) = facts(file)? else {
            return content(file);
        };
        if let Some((known, hash)) = self.lock().get(&place)
            && *known == state
        {
            return Ok(*hash);
        }
        let hash = content(file)?;
        let settled = now
            .checked_sub(Self::SETTLED)
            .and_then(|before| before.duration_since(UNIX_EPOCH).ok())
            .and_then(|before| i64::try_from(before.as_secs()).ok())
            .is_some_and(|before| state.1 < before);
        if settled && facts(file)? == Some((place, state)) {
            let mut known = self.lock();
            if known.len() >= Self::MOST {
                known.clear();
            }
            known.insert(place, (state, hash));
        }
        Ok(hash)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, (State, Hash)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
fn facts(file: &File) -> io::Result<Option<(Place, State)>> {
    use std::os::unix::fs::MetadataExt;
    let facts = file.metadata()?;
    let state = (facts.size(), facts.ctime(), facts.ctime_nsec());
    Ok(Some(((facts.dev(), facts.ino()), state)))
}

/// Here anybody may set the times of a file.
#[cfg(not(unix))]
fn facts(_file: &File) -> io::Result<Option<(Place, State)>> {
    Ok(None)
}

fn content(file: &mut File) -> io::Result<Hash> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    io::copy(file, &mut hasher)?;
    Ok(Hash(hasher.finalize().into()))
}

#[cfg(unix)]
fn open(path: &Path, to_read: bool) -> Result<File, ProgramError> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = File::open(path);
    let opened = match opened {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !to_read => {
            let mut options = File::options();
            options.read(true).custom_flags(libc::O_PATH).open(path)
        }
        opened => opened,
    };
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ProgramError::Missing,
        _ => ProgramError::Open(error),
    })
}

#[cfg(not(unix))]
fn open(path: &Path, _to_read: bool) -> Result<File, ProgramError> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ProgramError::Missing,
        _ => ProgramError::Open(error),
    })
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<(), ProgramError> {
    use std::os::unix::fs::PermissionsExt;
    let facts = file.metadata().map_err(ProgramError::Open)?;
    if !facts.is_file() {
        return Err(ProgramError::Missing);
    }
    // For root the system may say yes to everything, so the bits count too.
    let marked = facts.permissions().mode() & 0o111 != 0;
    let allowed = nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok();
    if marked && allowed {
        Ok(())
    } else {
        Err(ProgramError::NotExecutable)
    }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, file: &File) -> Result<(), ProgramError> {
    let facts = file.metadata().map_err(ProgramError::Open)?;
    if facts.is_file() {
        Ok(())
    } else {
        Err(ProgramError::Missing)
    }
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn executable(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tool");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    #[test]
    fn only_the_granted_content_is_opened() {
        let (_folder, path) = executable("#!/bin/sh\n");
        let hash = format!("{:x}", Sha256::digest("#!/bin/sh\n"));
        Program::open(&path, Some(hash.parse().unwrap())).unwrap();
        std::fs::write(&path, "#!/bin/sh\nrm -r /\n").unwrap();
        let changed = Program::open(&path, Some(hash.parse().unwrap())).unwrap_err();
        assert!(matches!(changed, ProgramError::Changed { .. }), "{changed}");
    }

    #[test]
    fn a_file_is_read_again_once_it_may_have_changed() {
        let (_folder, path) = executable("one");
        let contents = Contents(Mutex::default());
        let remembered = || contents.lock().len();
        let of = |after: u64| {
            let now = SystemTime::now() + Duration::from_secs(after);
            contents.of(&mut File::open(&path).unwrap(), now).unwrap()
        };
        let first = of(0);
        assert_eq!(remembered(), 0, "it was changed a moment ago");
        assert_eq!((of(10), remembered()), (first, 1));
        // What is remembered is what is told.
        let other = Hash([7; 32]);
        contents
            .lock()
            .values_mut()
            .for_each(|(_, hash)| *hash = other);
        assert_eq!(of(10), other);
        std::fs::write(&path, "two!").unwrap();
        assert!(![first, other].contains(&of(10)));
    }

    #[test]
    fn an_empty_file_is_no_script_and_a_folder_no_program() {
        let (folder, path) = executable("");
        assert!(!Program::open(&path, None).unwrap().is_script);
        let hash = format!("{:x}", Sha256::digest(""));
        let refused = Program::open(&path, Some(hash.parse().unwrap()));
        assert!(refused.is_ok(), "{refused:?}");
        let refused = Program::open(folder.path(), None).unwrap_err();
        assert!(matches!(refused, ProgramError::Missing), "{refused}");
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        for text in ["", "ab", &"g".repeat(64), &"ä".repeat(32), &"0".repeat(65)] {
            assert_eq!(text.parse::<Hash>(), Err(HashError), "{text}");
        }
        let text = "0F".repeat(32);
        assert_eq!(
            text.parse::<Hash>().unwrap().to_string(),
            text.to_lowercase()
        );
    }
}
