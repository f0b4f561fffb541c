//! Compiled images are kept, and made anew when they are not what they were.

use std::fs;
use std::path::{Path, PathBuf};

use jobcell_plugin_host::{HostConfig, PluginHost};

fn load(folder: &Path) {
    let config = HostConfig {
        cache_dir: Some(folder.to_owned()),
        ..HostConfig::default()
    };
    let host = PluginHost::new(config, Vec::new()).unwrap();
    host.load("hostile", jobcell_bundle::hostile().component)
        .unwrap();
}

fn images(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn an_image_is_written_once_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path());
    let first = images(folder.path());
    assert_eq!(first.len(), 1, "{first:?}");
    let written = fs::metadata(&first[0]).unwrap().modified().unwrap();
    load(folder.path());
    assert_eq!(images(folder.path()), first);
    assert_eq!(
        fs::metadata(&first[0]).unwrap().modified().unwrap(),
        written
    );
}

#[test]
fn a_damaged_image_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path());
    let file = images(folder.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for wrong in [damaged, whole[..100].to_vec(), Vec::new()] {
        fs::write(&file, wrong).unwrap();
        load(folder.path());
        assert_eq!(fs::read(&file).unwrap().len(), whole.len());
    }
}

#[test]
fn a_folder_that_can_not_be_made_costs_only_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    load(&file.join("below"));
}

#[cfg(unix)]
#[test]
fn the_folder_and_its_images_are_private() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    for folder in [missing, open] {
        load(&folder);
        let image = images(&folder).remove(0);
        for (path, mode) in [(&folder, 0o700), (&image, 0o600)] {
            let found = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{}", path.display());
        }
    }
}

#[cfg(unix)]
#[test]
fn an_image_that_others_could_have_written_is_made_anew() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    load(folder.path());
    let image = images(folder.path()).remove(0);
    fs::set_permissions(&image, fs::Permissions::from_mode(0o666)).unwrap();
    load(folder.path());
    let mode = fs::metadata(&image).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn images_of_older_versions_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let older = format!("hostile-{}-{}.image", "a".repeat(32), "b".repeat(16));
    let other = format!("sql-{}-{}.image", "a".repeat(32), "b".repeat(16));
    fs::write(folder.path().join(&older), "").unwrap();
    fs::write(folder.path().join(&other), "").unwrap();
    load(folder.path());
    assert!(!folder.path().join(&older).exists());
    assert!(folder.path().join(&other).exists());
    assert_eq!(images(folder.path()).len(), 2);
}

#[test]
fn another_component_of_the_same_name_has_an_image_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path());
    let first = images(folder.path());
    let config = HostConfig {
        cache_dir: Some(folder.path().to_owned()),
        ..HostConfig::default()
    };
    let host = PluginHost::new(config, Vec::new()).unwrap();
    // The same plugin with an empty custom section behind it, named `x`.
    let mut other = jobcell_bundle::hostile().component.to_vec();
    other.extend_from_slice(&[0, 2, 1, b'x']);
    host.load("hostile", &other).unwrap();
    let second = images(folder.path());
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
}
