//! Compiled components, kept in a private folder so that a start costs no
//! compilation. A cache: whatever is doubtful in it is made anew.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

/// A file is this hash of the image, then the image.
const CHECKSUM: usize = blake3::OUT_LEN;

/// The component, from the cache where it can be.
pub(crate) fn component(
    engine: &Engine,
    folder: Option<&Path>,
    name: &str,
    bytes: &[u8],
) -> wasmtime::Result<Component> {
    let Some(folder) = folder else {
        return Component::new(engine, bytes);
    };
    let file = folder.join(file_name(engine, name, bytes));
    if let Some(component) = read(engine, &file) {
        return Ok(component);
    }
    let image = engine.precompile_component(bytes)?;
    if let Err(error) = write(&file, &image) {
        tracing::warn!(file = %file.display(), %error, "a compiled plugin can't be kept");
    }
    // SAFETY: the image was made by this engine a moment ago.
    #[expect(unsafe_code, reason = "native code of our own making")]
    unsafe {
        Component::deserialize(engine, &image)
    }
}

/// Keyed by what the component is and by all that its machine code depends on.
fn file_name(engine: &Engine, name: &str, bytes: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut compatibility);
    let content = blake3::hash(bytes).to_hex();
    format!(
        "{name}-{}-{:016x}.image",
        &content[..32],
        compatibility.finish()
    )
}

fn read(engine: &Engine, file: &Path) -> Option<Component> {
    let bytes = fs::read(file).ok()?;
    let (checksum, image) = bytes.split_at_checked(CHECKSUM)?;
    if blake3::hash(image).as_bytes() != checksum {
        tracing::warn!(file = %file.display(), "a compiled plugin is damaged and is made anew");
        return None;
    }
    // SAFETY: only this module writes into the folder, which its owner alone
    // can open; the checksum shows that the image is whole, and the file's name
    // that it is of this component and of an engine with the same settings.
    #[expect(unsafe_code, reason = "native code of our own making")]
    let component = unsafe { Component::deserialize(engine, image) };
    component
        .inspect_err(|error| {
            tracing::warn!(file = %file.display(), %error, "a compiled plugin is made anew");
        })
        .ok()
}

/// Writes beside and renames, so that no half file is ever read.
fn write(file: &Path, image: &[u8]) -> std::io::Result<()> {
    let beside = PathBuf::from(format!("{}.{}.new", file.display(), std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&beside)?;
    written.write_all(blake3::hash(image).as_bytes())?;
    written.write_all(image)?;
    written.sync_all()?;
    fs::rename(&beside, file)
}
