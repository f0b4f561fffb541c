//! The key's file: 64 hexadecimal digits, which `openssl rand -hex 32` gives
//! too, for nobody but its owner. Never replaces a file that is there.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const LENGTH: usize = 32;
/// More than any key's file holds.
const LONGEST: u64 = 4096;

/// A key's file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read.
    #[error("the key file {file} can't be read")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It can't be made.
    #[error("the key file {file} can't be made")]
    NotMade {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("others may read the key file {file}; run `chmod 600` on it")]
    Shared {
        /// The file.
        file: String,
    },
    /// It holds something else.
    #[error(
        "the key file {file} should hold 64 hexadecimal digits, as `openssl rand -hex 32` gives them"
    )]
    NoKey {
        /// The file.
        file: String,
    },
}

pub(crate) fn read(file: &Path, create: bool) -> Result<Zeroizing<[u8; LENGTH]>, KeyError> {
    match File::open(file) {
        Ok(open) => take(file, open),
        Err(error) if error.kind() == ErrorKind::NotFound && create => make(file),
        Err(source) => Err(KeyError::Unreadable {
            file: file.display().to_string(),
            source,
        }),
    }
}

fn take(file: &Path, open: File) -> Result<Zeroizing<[u8; LENGTH]>, KeyError> {
    let name = || file.display().to_string();
    let unreadable = |source| KeyError::Unreadable {
        file: name(),
        source,
    };
    if is_shared(&open).map_err(unreadable)? {
        return Err(KeyError::Shared { file: name() });
    }
    let mut text = Zeroizing::new(Vec::new());
    open.take(LONGEST)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    digits(text.trim_ascii()).ok_or_else(|| KeyError::NoKey { file: name() })
}

fn make(file: &Path) -> Result<Zeroizing<[u8; LENGTH]>, KeyError> {
    let not_made = |source| KeyError::NotMade {
        file: file.display().to_string(),
        source,
    };
    let mut key = Zeroizing::new([0; LENGTH]);
    getrandom::fill(&mut key[..]).map_err(|error| not_made(std::io::Error::other(error)))?;
    let mut text = Zeroizing::new(String::new());
    for byte in &key[..] {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    match put(file, text.as_bytes()) {
        Ok(()) => Ok(key),
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read(file, false),
        Err(source) => Err(not_made(source)),
    }
}

/// Makes a file with this in it, whole or not at all.
fn put(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut other = file.as_os_str().to_owned();
    other.push(format!(".{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&other).and_then(|mut open| {
        open.write_all(text)?;
        open.sync_all()
    });
    // Fails where there is one by now, which a rename would replace.
    let put = written.and_then(|()| std::fs::hard_link(&other, file));
    drop(std::fs::remove_file(&other));
    put?;
    #[cfg(unix)]
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn digits(text: &[u8]) -> Option<Zeroizing<[u8; LENGTH]>> {
    let mut key = Zeroizing::new([0; LENGTH]);
    if text.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(key)
}

#[cfg(unix)]
fn is_shared(open: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(open.metadata()?.permissions().mode() & 0o077 != 0)
}

/// Who may read a file is not in its mode there; the data folder is its owner's.
#[cfg(not(unix))]
const fn is_shared(_: &File) -> std::io::Result<bool> {
    Ok(false)
}
