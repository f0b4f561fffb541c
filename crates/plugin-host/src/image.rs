//! Compiled components, kept in a private folder so that a start costs no
//! compilation. A cache: whatever is doubtful in it is made anew.

mod folder;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

/// A file is this hash of the image, then the image.
const CHECKSUM: usize = blake3::OUT_LEN;
/// How much of a component's hash its file name has.
const CONTENT: usize = 32;

/// The component, from the cache where it can be.
pub(crate) fn component(
    engine: &Engine,
    folder: Option<&Path>,
    name: &str,
    bytes: &[u8],
) -> wasmtime::Result<Component> {
    let Some(folder) = folder.filter(|folder| usable(folder)) else {
        return Component::new(engine, bytes);
    };
    let prefix = prefix(name);
    let file = folder.join(format!("{prefix}{}", suffix(engine, bytes)));
    if let Some(component) = read(engine, &file) {
        return Ok(component);
    }
    let image = engine.precompile_component(bytes)?;
    match write(&file, &image) {
        Ok(()) => remove_older(folder, &prefix, &file),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "a compiled plugin can't be kept");
        }
    }
    // SAFETY: the image was made by this engine a moment ago.
    #[expect(unsafe_code, reason = "native code of our own making")]
    unsafe {
        Component::deserialize(engine, &image)
    }
}

fn usable(folder: &Path) -> bool {
    let made = folder::make_private(folder);
    if let Err(error) = &made {
        tracing::warn!(folder = %folder.display(), %error, "compiled plugins are not kept");
    }
    made.is_ok()
}

/// The name of a plugin as it may stand in a file name.
fn prefix(name: &str) -> String {
    let fit = |character: char| match character {
        'a'..='z' | '0'..='9' | '_' => character,
        'A'..='Z' => character.to_ascii_lowercase(),
        _ => '_',
    };
    let name: String = name.chars().map(fit).take(40).collect();
    format!("{name}-")
}

/// Keyed by what the component is and by all that its machine code depends on.
fn suffix(engine: &Engine, bytes: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut compatibility);
    let content = blake3::hash(bytes).to_hex();
    format!(
        "{}-{:016x}.image",
        &content[..CONTENT],
        compatibility.finish()
    )
}

fn read(engine: &Engine, file: &Path) -> Option<Component> {
    let mut opened = fs::File::open(file).ok()?;
    let distrust = |reason: &str| {
        tracing::warn!(file = %file.display(), reason, "a compiled plugin is made anew");
    };
    if !folder::is_private(&opened.metadata().ok()?) {
        distrust("others could have written it");
        return None;
    }
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes).ok()?;
    let whole = bytes
        .split_at_checked(CHECKSUM)
        .filter(|(checksum, image)| blake3::hash(image).as_bytes() == checksum);
    let Some((_, image)) = whole else {
        distrust("it is damaged");
        return None;
    };
    // SAFETY: only this module writes such files; nobody else could have, since
    // folder and file belong to this user and are writable by nobody else (this
    // was checked on the open file, and its bytes are in memory now). The
    // checksum shows that the image is whole, and the file's name that it is of
    // this component and of an engine with the same settings.
    #[expect(unsafe_code, reason = "native code of our own making")]
    let component = unsafe { Component::deserialize(engine, image) };
    component
        .inspect_err(|error| distrust(&error.to_string()))
        .ok()
}

/// Writes beside and renames, so that no half file is ever read.
fn write(file: &Path, image: &[u8]) -> std::io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let beside = PathBuf::from(format!(
        "{}.{}.{}.new",
        file.display(),
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    ));
    let written = write_new(&beside, image).and_then(|()| fs::rename(&beside, file));
    if written.is_err() {
        // What could not be written can't always be removed either.
        drop(fs::remove_file(&beside));
    }
    written
}

fn write_new(beside: &Path, image: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(beside)?;
    written.write_all(blake3::hash(image).as_bytes())?;
    written.write_all(image)?;
    written.sync_all()
}

/// Removes what the same plugin left here in older versions, its own or the
/// engine's. Best effort: a left-over costs only room.
fn remove_older(folder: &Path, prefix: &str, keep: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let rest = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(".image"));
        let ours = rest.is_some_and(|rest| rest.split('-').map(str::len).eq([CONTENT, 16]));
        if ours && path != keep {
            drop(fs::remove_file(&path));
        }
    }
}
