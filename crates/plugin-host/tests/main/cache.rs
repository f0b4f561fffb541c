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
fn a_folder_that_can_not_be_written_costs_only_time() {
    let folder = tempfile::tempdir().unwrap();
    load(&folder.path().join("missing"));
}
