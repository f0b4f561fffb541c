//! Where the database lies: in a file, or in memory. Opens it, and opens it
//! again. Never knows what is in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};

/// What redb's files begin with is this long.
const MAGIC_LENGTH: usize = 9;
/// Where the first page behind redb's header begins.
const HEADER_PAGE: u64 = 4096;

/// Where a database lies.
pub(crate) trait Medium: Send + Sync + 'static {
    /// Opens the database. The one opened before must be closed by then.
    fn open(&self, cache_bytes: usize) -> Result<Database, DatabaseError>;

    /// Room that is left for it, where that can be told.
    fn free_bytes(&self) -> Option<u64>;
}

/// A file.
pub(crate) struct FileMedium {
    path: PathBuf,
}

impl FileMedium {
    /// Makes the file where there is none. Only its owner may read it: it
    /// holds scripts and what they wrote.
    pub(crate) fn prepare(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => {
                file.sync_all()?;
                sync_folder(path)?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Medium for FileMedium {
    fn open(&self, cache_bytes: usize) -> Result<Database, DatabaseError> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        open_backend(FileBackend::new(file)?, cache_bytes)
    }

    #[cfg(unix)]
    fn free_bytes(&self) -> Option<u64> {
        let room = nix::sys::statvfs::statvfs(&self.path).ok()?;
        // The fields' widths differ between systems.
        #[expect(clippy::useless_conversion, reason = "they are not u64 everywhere")]
        Some(u64::from(room.blocks_available()).saturating_mul(u64::from(room.fragment_size())))
    }

    #[cfg(not(unix))]
    fn free_bytes(&self) -> Option<u64> {
        None
    }
}

/// Memory, which is gone when the medium is.
#[derive(Default)]
pub(crate) struct MemoryMedium {
    backend: Arc<InMemoryBackend>,
}

impl Medium for MemoryMedium {
    fn open(&self, cache_bytes: usize) -> Result<Database, DatabaseError> {
        open_backend(SharedBackend(self.backend.clone()), cache_bytes)
    }

    fn free_bytes(&self) -> Option<u64> {
        None
    }
}

/// A backend that outlives the database, so that it can be opened again.
#[derive(Debug)]
pub(crate) struct SharedBackend<B>(pub(crate) Arc<B>);

impl<B: StorageBackend> StorageBackend for SharedBackend<B> {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }
}

/// Opens the database in a backend, or makes one in an empty backend.
pub(crate) fn open_backend(
    backend: impl StorageBackend,
    cache_bytes: usize,
) -> Result<Database, DatabaseError> {
    if is_unfinished(&backend)? {
        start_over(&backend)?;
    }
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.create_with_backend(backend)
}

/// Whether making a database in it was cut short: redb writes its magic last,
/// and refuses a file that has a length but no magic. Nothing was stored then,
/// and all behind the header is zero.
fn is_unfinished(backend: &impl StorageBackend) -> io::Result<bool> {
    let length = backend.len()?;
    if length < HEADER_PAGE {
        return Ok(false);
    }
    let mut magic = [0; MAGIC_LENGTH];
    backend.read(0, &mut magic)?;
    if magic != [0; MAGIC_LENGTH] {
        return Ok(false);
    }
    let mut block = vec![0; 64 * 1024];
    let mut offset = HEADER_PAGE;
    while offset < length {
        let left = usize::try_from(length - offset).unwrap_or(usize::MAX);
        let part = left.min(block.len());
        backend.read(offset, &mut block[..part])?;
        if block[..part].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += part as u64;
    }
    Ok(true)
}

/// Empties what `is_unfinished`, unless another process is about to finish it.
fn start_over(backend: &impl StorageBackend) -> io::Result<()> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let locked = match backend.try_lock_range(all.0, all.1) {
        Ok(true) => true,
        // redb opens what knows no locks, so this does as well.
        Err(BackendError::Unsupported) => false,
        // Opening says that it is in use.
        Ok(false) | Err(_) => return Ok(()),
    };
    if is_unfinished(backend)? {
        tracing::info!("making the store was cut short; it is made anew");
        backend.set_len(0)?;
        backend.sync_data()?;
    }
    if locked {
        backend
            .unlock_range(all.0, all.1)
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// A new file survives a power cut only once its folder is on disk too.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
