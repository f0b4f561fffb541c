//! Whether a folder or file of machine code is this user's alone.

use std::fs;
use std::io;
use std::path::Path;

/// Makes the folder where it is missing, and takes it from everybody else.
#[cfg(unix)]
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    let found = fs::metadata(folder)?;
    if !found.is_dir() || !is_own(&found) {
        return Err(io::Error::other("the folder does not belong to this user"));
    }
    if found.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether nobody but this user could have written it.
#[cfg(unix)]
pub(super) fn is_private(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    found.is_file() && is_own(found) && found.permissions().mode() & 0o022 == 0
}

#[cfg(unix)]
fn is_own(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    found.uid() == rustix::process::geteuid().as_raw()
}

/// Makes the folder where it is missing. Who may write there is inherited from
/// the data folder, which the administrator protects.
#[cfg(not(unix))]
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Whether it is a plain file, which is all that can be asked here.
#[cfg(not(unix))]
pub(super) fn is_private(found: &fs::Metadata) -> bool {
    found.is_file()
}
