//! Secrets go in and come out, and only so.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use jobcell_vault::{KeyError, UnsealError, Vault};
use tempfile::TempDir;

fn vault(folder: &TempDir, name: &str) -> Vault {
    Vault::open(&folder.path().join(name), true).unwrap()
}

#[test]
fn a_secret_comes_back_and_is_never_the_same_twice() {
    let folder = TempDir::new().unwrap();
    let first = vault(&folder, "key");
    for secret in ["", "p€ss\0\n", &"x".repeat(100_000)] {
        let sealed = first.seal("connection a", secret).unwrap();
        assert_ne!(sealed, first.seal("connection a", secret).unwrap());
        // The same key, read again.
        let again = Vault::open(&folder.path().join("key"), false).unwrap();
        assert_eq!(&**again.unseal("connection a", &sealed).unwrap(), secret);
    }
}

#[test]
fn what_was_changed_or_is_for_something_else_does_not_open() {
    let folder = TempDir::new().unwrap();
    let own = vault(&folder, "key");
    let sealed = own.seal("connection a", "secret").unwrap();
    let refused = |purpose: &str, sealed: &[u8]| own.unseal(purpose, sealed).unwrap_err();
    assert_eq!(refused("connection b", &sealed), UnsealError::Damaged);
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        refused("connection a", &changed);
        refused("connection a", &sealed[..place]);
    }
    let other = vault(&folder, "other");
    let refused = other.unseal("connection a", &sealed).unwrap_err();
    assert_eq!(refused, UnsealError::OtherKey);
}

/// What an earlier version sealed stays readable.
#[test]
fn the_first_edition_opens() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, format!("{}\n", "0123456789abcdef".repeat(4))).unwrap();
    private(&file);
    let vault = Vault::open(&file, false).unwrap();
    let sealed = include_bytes!("sealed-1");
    assert_eq!(&**vault.unseal("connection erp", sealed).unwrap(), "p€ss");
}

#[test]
fn a_key_is_for_its_owner_alone() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key");
    vault(&folder, "key");
    assert_eq!(fs::read_to_string(&file).unwrap().trim().len(), 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Vault::open(&file, true).unwrap_err();
        assert!(matches!(refused, KeyError::Shared { .. }), "{refused}");
    }
}

#[test]
fn a_file_without_a_key_is_refused_and_stays() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key");
    for text in ["", "abc", &"g".repeat(64), &"a".repeat(66)] {
        fs::write(&file, text).unwrap();
        private(&file);
        let refused = Vault::open(&file, true).unwrap_err();
        assert!(matches!(refused, KeyError::NoKey { .. }), "{refused}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    let missing = Vault::open(&folder.path().join("nowhere"), false).unwrap_err();
    assert!(matches!(missing, KeyError::Unreadable { .. }), "{missing}");
}

fn private(file: &std::path::Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
